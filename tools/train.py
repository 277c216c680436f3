"""Train a recipe: python tools/train.py -c configs/digits/resnet20.yaml."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from ppresnet import cli, hardware
from ppresnet.config import dump, load
from ppresnet.errors import RequestError
from ppresnet.hardware.malloc import settle


def main(arguments: argparse.Namespace) -> cli.Result:
    """Train, and return the contents of result.json."""
    config = load(arguments.config, arguments.overrides)
    if arguments.print_config:
        print(dump(config), end="")
        return None
    if arguments.cpu_processes not in ("auto", "1"):
        raise RequestError(f"--cpu-processes: expected 1 or auto in this version, found {arguments.cpu_processes}")
    output = arguments.output or Path(config.output)
    before = stored_hardware(output) if arguments.resume else None
    memory = settle(config.hardware.malloc)
    if memory:
        cli.say(memory)
    machine = hardware.start(config.hardware.device, config.hardware.threads, cli.say, repeat=before)
    from ppresnet.train.run import train

    result = train(config, output, machine, resume=arguments.resume, repeat=before, report=cli.say)
    cli.say(f"top-1 {result.top1:.2f} %; best checkpoint {result.checkpoint}")
    return dataclasses.asdict(result)


def stored_hardware(output: Path) -> dict[str, Any] | None:
    """Return what the run in `output` was started on, or None where it does not say so."""
    try:
        stored = json.loads((output / "hardware.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stored if isinstance(stored, dict) else None


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser("Train a recipe.", recipe=True)
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of the run (default: the recipe's)")
    parser.add_argument("--resume", action="store_true", help="go on exactly from the newest good checkpoint")
    parser.add_argument("--print-config", action="store_true", help="print the resolved recipe and stop")
    parser.add_argument("--cpu-processes", default="1", metavar="N", help="data-parallel processes: 1 or auto")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
