"""Make a network smaller, from its recipe to a proved bundle: bash deploy/slim/slim.sh -c configs/slim/X.yaml."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy.slim.pipeline.driver import Driver
from deploy.slim.pipeline.life import Life
from deploy.slim.pipeline.preflight import expect_possible
from deploy.slim.pipeline.report import Report, write_report
from deploy.slim.recipe import load_slim
from ppresnet import cli
from ppresnet.errors import CheckFailedError, PpresnetError
from ppresnet.files import DirectoryLock

ROUNDING = 1e-9


def main(arguments: argparse.Namespace) -> cli.Result:
    """Do every step that is not done yet, write the report, and return its first figures."""
    recipe = load_slim(arguments.config, arguments.overrides)
    folder = (arguments.output or Path(recipe.config.output)).resolve()
    with DirectoryLock(folder):
        story = Life(recipe, Driver(folder, before=lambda: expect_possible(recipe))).run()
        report = write_report(story, folder)
    print(f"{folder / 'report.md'}: {report.summary}")
    failure = story.failure or _dropped(report, recipe.config.max_drop)
    if failure is not None:
        raise CheckFailedError(str(failure), report.figures)
    return report.figures


def _dropped(report: Report, limit: float | None) -> PpresnetError | None:
    """Return what to say of a loss that is too large."""
    if limit is None or report.lost <= limit + ROUNDING:
        return None
    return CheckFailedError(
        f"expected to lose at most {limit:g} points of top-1 (max_drop), lost {report.lost:.2f}; fine-tune for longer, "
        "or set a larger target"
    )


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    made = cli.parser("Make a network smaller: what is done already is not done again.", recipe=True)
    made.add_argument("--output", type=Path, metavar="DIR", help="folder of everything (default: the recipe's)")
    made.prog = "bash deploy/slim/slim.sh"
    return made.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
