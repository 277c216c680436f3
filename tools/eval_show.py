"""What an evaluation found, as tables."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from ppresnet import cli

_HEADS = {"top1": "top-1 %", "precision": "precision %", "recall": "recall %", "f1": "F1 %", "ap": "AP %"}
_HEADS |= {"best_threshold": "best threshold"}


def show_classes(rows: Sequence[Mapping[str, object]], title: str) -> None:
    """Print one row for each class; the keys of the first are the columns."""
    table = Table(*(_HEADS.get(key, key) for key in rows[0]), title=title)
    for row in rows:
        table.add_row(*(_shown(value) for value in row.values()))
    cli.console(None).print(table)


def show_confusion(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> None:
    """Print a confusion matrix, [true class][predicted class], where it is not too large for that."""
    if len(classes) > 20:
        cli.console(None).print("the confusion matrix of more than 20 classes is in --json and --picture only")
        return
    matrix = Table("true \\ predicted", *classes, title="confusion matrix (images)")
    for name, counts in zip(classes, confusion, strict=True):
        matrix.add_row(name, *(str(count) if count else "." for count in counts))
    cli.console(None).print(matrix)


def _shown(value: object) -> str:
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
