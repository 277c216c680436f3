"""List the model zoo: python tools/zoo.py --filter resnet."""

import argparse
import sys
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from ppresnet import cli, hardware

PIPED_WIDTH = 160  # of a table that goes to a file, where rich would assume a narrow terminal


def main(arguments: argparse.Namespace) -> cli.Result:
    """Print every model whose name contains the filter, and return them as a list."""
    hardware.import_paddle()
    from ppresnet.spec import MODELS, spec_of

    rows = [row_of(spec_of(name)) for name in MODELS if arguments.filter in name]
    print_table(rows)
    return rows


def row_of(spec: Any) -> dict[str, Any]:
    """Return what the zoo knows of a `ModelSpec`; `published` may be empty."""
    from ppresnet.models import cost
    from ppresnet.spec.published import PUBLISHED

    price, published = cost(spec), PUBLISHED[spec.name]
    return {
        "name": spec.name,
        "family": spec.family,
        "input_size": spec.input_size,
        "params": price.params,
        "macs": price.macs,
        "paper": published.paper,
        "published": [accuracy._asdict() for accuracy in published.accuracies],
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print one line a model; of several published accuracies the first."""
    table = Table(box=SIMPLE)
    for heading in ("name", "family", "image", "parameters", "MACs", "paper"):
        table.add_column(heading, no_wrap=heading in ("name", "parameters", "MACs"))
    table.add_column("published top-1, %")
    for row in rows:
        size = f"{row['input_size']}x{row['input_size']}"
        first = next((f"{one['top1']:.2f}  {one['data']}, {one['source']}" for one in row["published"]), "")
        first = first.removesuffix(f", {row['paper']}")
        table.add_row(row["name"], row["family"], size, f"{row['params']:,}", f"{row['macs']:,}", row["paper"], first)
    console = Console()
    (console if console.is_terminal else Console(width=PIPED_WIDTH)).print(table)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser(
        "List the model zoo. MACs are those of convolution and linear layers, for one image. "
        "The table has one published accuracy a model, --json has all."
    )
    parser.add_argument("--filter", default="", metavar="S", help="only names that contain S")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
