"""Train a recipe: python tools/train.py -c configs/digits/resnet20.yaml."""

import argparse
import dataclasses
import sys
from pathlib import Path

from ppresnet import cli, hardware
from ppresnet.config import dump, load
from ppresnet.errors import RequestError


def main(arguments: argparse.Namespace) -> cli.Result:
    """Train, and return the contents of result.json."""
    config = load(arguments.config, arguments.overrides)
    if arguments.print_config:
        print(dump(config), end="")
        return None
    if arguments.cpu_processes not in ("auto", "1"):
        raise RequestError(f"--cpu-processes: expected 1 or auto in this version, found {arguments.cpu_processes}")
    cli.say(hardware.prepare(config.hardware.device, config.hardware.threads).describe())
    from ppresnet.train.run import train

    output = arguments.output or Path(config.output)
    result = train(config, output, resume=arguments.resume, report=cli.say)
    cli.say(f"top-1 {result.top1:.2f} %; best checkpoint {result.checkpoint}")
    return dataclasses.asdict(result)


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
