"""Look whether this machine, and a recipe with its images, are ready: python tools/doctor.py -c RECIPE."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from checkup import Check
from checkup_machine import machine_checks
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ppresnet import cli
from ppresnet.errors import CheckFailedError, RequestError

COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


def main(arguments: argparse.Namespace) -> cli.Result:
    """Print what was found, and return it; the exit code is 3 where anything failed."""
    if arguments.config is None and (arguments.overrides or arguments.output):
        raise RequestError("-o and --output are about a recipe; name one with -c")
    checks = []
    for check in machine_checks():
        cli.say(f"{check.name}: {check.status}")
        checks.append(check)
    if arguments.config is not None and not _failed(checks):
        from checkup_recipe import recipe_checks

        for check in recipe_checks(arguments.config, arguments.overrides, arguments.output):
            cli.say(f"{check.name}: {check.status}")
            checks.append(check)
    show(checks)
    result = {"checks": [asdict(check) for check in checks]}
    if failed := _failed(checks):
        raise CheckFailedError("not ready: " + ", ".join(failed), result)
    return result


def show(checks: list[Check]) -> None:
    """Print one row for each check."""
    table = Table("what", "status", "found", "what to do")
    for check in checks:
        status = Text(check.status, style=COLOURS[check.status])
        table.add_row(check.name, status, Text(check.found), Text(check.advice))
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)


def _failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if check.status == "failed"]


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser(
        "Look whether this machine is ready to train, export and convert; with -c also whether a recipe, its images "
        "and its output folder are, and how long it will take.",
        recipe=False,
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of the run (default: the recipe's)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
