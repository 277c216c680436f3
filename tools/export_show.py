"""What an export found, as tables."""

from collections.abc import Sequence

from rich.table import Table

from ppresnet import cli
from ppresnet.bundle import Deploy


def show(deploy: Deploy, notes: Sequence[str]) -> None:
    """Print the parity rows and the notes."""
    wide = cli.console()
    table = Table(
        "format",
        "runtime",
        "inputs",
        "batch",
        "relative difference",
        "status",
        title=f"{deploy.name}: parity with the network",
    )
    for row in deploy.parity:
        shown = "-" if row.rel_diff is None else f"{row.rel_diff:.1e}"
        table.add_row(row.format, row.runtime, row.data, str(row.batch), shown, row.status)
    wide.print(table)
    for note in notes:
        wide.print(f"note: {note}")
