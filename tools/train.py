"""Train a recipe: python tools/train.py -c configs/digits/resnet20.yaml."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from parallel import count_of, several

from ppresnet import cli, hardware
from ppresnet.config import RunConfig, dump, load
from ppresnet.hardware.malloc import settle
from ppresnet.train.outcome import recorded


def main(arguments: argparse.Namespace) -> cli.Result:
    """Train, and write the contents of result.json to `--json` too."""
    place = hardware.place()
    with recorded(place, arguments.debug):
        config = load(arguments.config, arguments.overrides)
        if arguments.print_config:
            print(dump(config), end="")
            return None
        output = arguments.output or Path(config.output)
        before = stored_hardware(output) if arguments.resume else None
        processes = count_of(arguments.cpu_processes, config, before) if place.size == 1 else 1
        if processes == 1:
            result = train_here(arguments, config, output, place, before)
            cli.write_json(arguments, result)  # here, so that a parent is told where that fails
            return None
        several(Path(__file__), processes, config, before)
        return None


def train_here(
    arguments: argparse.Namespace, config: RunConfig, output: Path, place: hardware.Place, before: dict[str, Any] | None
) -> cli.Result:
    """Train in this process, which may be one of several; only the first one tells and returns anything."""
    say = cli.say if place.rank == 0 else _silent
    memory = settle(config.hardware.malloc)
    if memory:
        say(memory)
    machine = hardware.start(config.hardware.device, config.hardware.threads, say, repeat=before)
    from ppresnet.train.ranks import join
    from ppresnet.train.run import train

    ranks = join(machine.device)
    result = train(config, output, machine, resume=arguments.resume, repeat=before, report=say, ranks=ranks)
    precision = "" if result.map is None else f"mAP {result.map:.2f} %, "
    say(f"{precision}top-1 {result.top1:.2f} %; best checkpoint {result.checkpoint}")
    return dataclasses.asdict(result) if ranks.first else None


def stored_hardware(output: Path) -> dict[str, Any] | None:
    """Return what the run in `output` was started on, or None where it does not say so."""
    try:
        stored = json.loads((output / "hardware.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stored if isinstance(stored, dict) else None


def _silent(_: str) -> None:
    return None


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser("Train a recipe.", recipe=True)
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of the run (default: the recipe's)")
    parser.add_argument("--resume", action="store_true", help="go on exactly from the newest good checkpoint")
    parser.add_argument("--print-config", action="store_true", help="print the resolved recipe and stop")
    parser.add_argument(
        "--cpu-processes",
        metavar="N",
        help="data-parallel processes on this machine's CPU, a number or auto (default: hardware.processes)",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
