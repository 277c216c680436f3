"""How large the network is under every option."""

from pathlib import Path

from rich.table import Table

from deploy.lite.conversion import Source, is_quantised
from deploy.lite.options import Options
from deploy.lite.process import WorkerError
from deploy.lite.prove import HOST
from deploy.lite.report import SizeRow

FLOAT = (
    Options("arm"),
    Options("arm", "fp16"),
    Options("arm", "int16-weights"),
    Options("arm", "int8-weights"),
    Options("opencl,arm"),
    Options("opencl,arm", "int16-weights"),
    Options("opencl,arm", "int8-weights"),
    HOST,
)


def size_rows(plain: Source | None, quantised: Source | None, work: Path) -> tuple[SizeRow, ...]:
    """Return the size of the `.nb` under every option that Lite can be trusted with.

    Args:
        plain: the float program, if there is one.
        quantised: the quantised program, if there is one.
        work: a folder for the conversions.
    """
    jobs = [(plain, options) for options in FLOAT] if plain is not None else []
    jobs += [(quantised, Options("arm", "int8"))] if quantised is not None and is_quantised(quantised.read()) else []
    rows: list[SizeRow] = []
    for source, options in jobs:
        if source is None:
            continue
        size, status = None, "ok"
        try:
            path = source.nb(options, work / options.label.replace(" ", "_").replace(",", "_"))
            size = path.stat().st_size
            path.unlink()
        except WorkerError as error:
            status = str(error).splitlines()[0]
        base = rows[0].size_bytes if rows else size
        share = size / base if size and base else None
        rows.append(SizeRow(option=options.label, size_bytes=size, share=share, status=status))
    return tuple(rows)


def size_table(rows: tuple[SizeRow, ...]) -> Table:
    """Return the sizes as a table."""
    table = Table("option", "bytes", "share", "status", title="size of the .nb")
    for row in rows:
        share = f"{row.share:.0%}" if row.share is not None else "-"
        table.add_row(row.option, f"{row.size_bytes:,}" if row.size_bytes else "-", share, row.status)
    return table
