"""Evaluate a checkpoint: python tools/eval.py --checkpoint runs/digits_resnet20."""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ppresnet import cli, hardware
from ppresnet.checkpoint import read, resolve
from ppresnet.config import RunConfig, from_dict, load


def main(arguments: argparse.Namespace) -> cli.Result:
    """Print the metrics, and return them."""
    path = resolve(arguments.checkpoint)
    checkpoint = read(path)
    if arguments.config is not None:
        config = load(arguments.config, arguments.overrides)
    else:
        config = from_dict(checkpoint.config, str(path), arguments.overrides)
    hardware.start(config.hardware.device, config.hardware.threads, cli.say)
    from ppresnet.checkpoint.state import model_of
    from ppresnet.train.curves import draw_confusion
    from ppresnet.train.evaluate import evaluate_split

    result = evaluate_split(model_of(checkpoint), config)
    _show(result.classes, result.per_class(), result.confusion.tolist(), config)
    print(f"top-1 {result.top1:.2f} %  top-5 {result.top5:.2f} %  loss {result.loss:.4f}  images {result.count}")
    if arguments.picture is not None:
        draw_confusion(result.confusion, result.classes, arguments.picture)
    return {
        "top1": result.top1,
        "top5": result.top5,
        "loss": result.loss,
        "images": result.count,
        "per_class": result.per_class(),
        "confusion": result.confusion.tolist(),
        "broken": result.broken,
        "checkpoint": str(path),
    }


def _show(
    classes: tuple[str, ...], rows: list[dict[str, object]], confusion: list[list[int]], config: RunConfig
) -> None:
    console = Console()
    table = Table("class", "images", "top-1 %", "precision %", title=f"{config.name}, split '{config.data.val}'")
    for row in rows:
        table.add_row(
            *(
                "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
                for value in row.values()
            )
        )
    console.print(table)
    if len(classes) > 20:
        console.print("the confusion matrix of more than 20 classes is in --json and --picture only")
        return
    matrix = Table("true \\ predicted", *classes, title="confusion matrix (images)")
    for name, counts in zip(classes, confusion, strict=True):
        matrix.add_row(name, *(str(count) if count else "." for count in counts))
    console.print(matrix)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser("Evaluate a checkpoint on the evaluation split of its recipe, or of another one.", recipe=False)
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="P", help="a step folder or a run folder")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write the confusion matrix as a PNG")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
