"""List the model zoo: python tools/zoo.py --filter resnet."""

import argparse
import sys

from rich.console import Console
from rich.table import Table

from ppresnet import cli, hardware


def main(arguments: argparse.Namespace) -> cli.Result:
    """Print every model whose name contains the filter, and return them as a list."""
    hardware.import_paddle()
    from ppresnet.models import cost
    from ppresnet.spec import MODELS, spec_of

    rows = []
    table = Table("name", "family", "image", "parameters", "MACs")
    for name in MODELS:
        if arguments.filter not in name:
            continue
        spec = spec_of(name)
        price = cost(spec)
        rows.append({"name": name, "family": spec.family, "params": price.params, "macs": price.macs})
        size = f"{spec.input_size}x{spec.input_size}"
        table.add_row(name, spec.family, size, f"{price.params:,}", f"{price.macs:,}")
    Console().print(table)
    return rows


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser("List the model zoo. MACs are those of convolution and linear layers, for one image.")
    parser.add_argument("--filter", default="", metavar="S", help="only names that contain S")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
