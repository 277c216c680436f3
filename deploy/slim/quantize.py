"""Quantise a checkpoint: python deploy/slim/quantize.py --checkpoint runs/X --output bundles/X_int8."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from deploy.slim.command import opened, parser
from deploy.slim.int8.settings import ALGORITHMS, METHODS, Int8Settings
from ppresnet import cli
from ppresnet.errors import CheckFailedError, RequestError

if TYPE_CHECKING:
    from deploy.slim.int8.quantizing import QuantizeResult


def main(arguments: argparse.Namespace) -> cli.Result:
    """Write the int8 bundle, and return what it is worth."""
    settings = _settings(arguments)
    found = opened(arguments)
    from deploy.slim.int8.quantizing import quantize

    made = quantize(found.path, arguments.output, settings, found.config)
    _show(made)
    result: dict[str, Any] = {**made.model_dump(mode="json"), **_first(made)}
    if made.failures:
        raise CheckFailedError("\n".join(made.failures), result)
    return result


def _settings(arguments: argparse.Namespace) -> Int8Settings:
    given = {name: getattr(arguments, name) for name in Int8Settings.model_fields}
    try:
        return Int8Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise RequestError(f"--{name.replace('_', '-')}: {first['msg']}, found {first['input']}") from error


def _first(made: QuantizeResult) -> dict[str, Any]:
    """Return what a report says first, under the names of the other commands."""
    about = made.quantisation
    return {
        "top1_before": about.top1_float,
        "top1_after": about.top1_int8,
        "top1_agreement": about.top1_agreement,
        "int8_convs": made.fusion.int8,
        "float_layers": [row.name for row in about.layers if not row.int8],
        "size_bytes": sum(entry.size for name, entry in made.files.items() if name.startswith("inference.")),
    }


def _show(made: QuantizeResult) -> None:
    from rich.console import Console
    from rich.table import Table

    about = made.quantisation
    table = Table("layer", "change of its output", "int8", title="layers, worst first")
    for row in about.layers:
        change = "-" if row.error is None else f"{row.error:.1%}"
        table.add_row(row.name, change, "yes" if row.int8 else f"no: {row.reason}")
    # Into a file or a pipe rich would squeeze the table into 80 columns.
    Console(width=None if sys.stdout.isatty() else 150).print(table)
    for note in made.notes:
        cli.say(note)
    onnx = "" if about.top1_onnx is None else f", model.onnx {about.top1_onnx:.2f} %"
    print(
        f"{made.output}: top-1 of {about.images} images {about.top1_float:.2f} to {about.top1_int8:.2f} %{onnx}; "
        f"the same class for {about.top1_agreement:.1f} %; {made.fusion.int8} convolutions ran in int8"
    )


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    usual = Int8Settings()
    made = parser("Make an int8 bundle of a checkpoint, held to an accuracy floor.")
    made.add_argument("--output", type=Path, required=True, metavar="DIR", help="an older bundle there is replaced")
    made.add_argument(
        "--method", choices=METHODS, default=usual.method, help="after training, or with it (default ptq)"
    )
    made.add_argument(
        "--calibration", type=int, default=usual.calibration, metavar="N", help="training images for ranges (256)"
    )
    made.add_argument("--algorithm", choices=ALGORITHMS, default=usual.algorithm, help="range of an activation")
    made.add_argument(
        "--floor", type=float, default=usual.floor, metavar="POINTS", help="top-1 that may be lost (default 0.5)"
    )
    made.add_argument("--images", type=int, metavar="N", help="evaluation images to look at (default all)")
    made.add_argument(
        "--most-float", type=float, default=usual.most_float, metavar="X", help="share of layers that may stay (0.5)"
    )
    made.add_argument("--no-onnx", dest="onnx", action="store_false", help="leave model.onnx out")
    made.add_argument("--epochs", type=int, default=usual.epochs, metavar="N", help="qat: of its training (2)")
    made.add_argument("--lr", type=float, default=usual.lr, metavar="X", help="qat: learning rate at its start (0.005)")
    made.add_argument("--timeout", type=float, default=usual.timeout, metavar="S", help="seconds for one quantisation")
    return made.parse_args(argv)


if __name__ == "__main__":
    cli.tidy_on_sigterm()
    sys.exit(cli.run(main, parse()))
