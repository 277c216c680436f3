"""The rows of a benchmark as a table and as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ppresnet import cli
from ppresnet.files import atomic_write

COLOURS = {"fp32": "#4477aa", "bf16": "#ee6677", "int8": "#228833"}
COLUMNS = {
    "size_mb": ("MB", "{:.1f}"),
    "p50_ms": ("p50 ms", "{:.2f}"),
    "p95_ms": ("p95 ms", "{:.2f}"),
    "images_per_second": ("images/s", "{:.1f}"),
    "rel_diff": ("relative difference", "{:.1e}"),
    "top1_agreement": ("top-1 agreement %", "{:.1f}"),
    "top1": ("top-1 %", "{:.2f}"),
}


def show(rows: Sequence[dict[str, Any]], name: str) -> None:
    """Print the rows, in their order."""
    batch, threads = rows[0]["batch"], rows[0]["threads"]
    table = Table("backend", "precision", "status")
    for title, _ in COLUMNS.values():
        table.add_column(title, justify="right")
    table.title = f"{name}: batch {batch}, {threads} thread{'s' if threads != 1 else ''}"
    for row in rows:
        cells = ("-" if row[key] is None else form.format(row[key]) for key, (_, form) in COLUMNS.items())
        table.add_row(row["backend"], row["precision"], row["status"], *cells)
    cli.console().print(table)


def draw(rows: Sequence[dict[str, Any]], name: str, cpu: str, path: Path) -> None:
    """Write the median latencies as bars, with a whisker up to p95, fastest first; failed backends are named.

    Raises:
        StorageError: the PNG could not be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    timed = sorted(
        (row for row in rows if row["p50_ms"] is not None and row["status"] == "ok"), key=lambda row: -row["p50_ms"]
    )
    figure, axes = plt.subplots(figsize=(8, 1.4 + 0.4 * len(timed)), layout="constrained")
    for position, row in enumerate(timed):
        colour = COLOURS.get(row["precision"], "#888888")
        axes.barh(
            position,
            row["p50_ms"],
            xerr=[[0], [row["p95_ms"] - row["p50_ms"]]],
            color=colour,
            ecolor="#555555",
            capsize=3,
        )
        axes.text(0, position, f" {row['p50_ms']:.2f} ms", va="center", color="white")
    axes.set_yticks(range(len(timed)), [f"{row['backend']} {row['precision']}" for row in timed])
    axes.set_xlabel("milliseconds per call: median, and 95th percentile")
    axes.set_title(f"{name}, batch {rows[0]['batch']}, {rows[0]['threads']} threads, {cpu}", fontsize=10)
    if failed := [f"{row['backend']} {row['precision']}" for row in rows if row["status"] != "ok"]:
        figure.supxlabel(f"did not run: {', '.join(failed)}", fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    plt.close(figure)
    atomic_write(path, buffer.getvalue())


def int8_worth(rows: Sequence[dict[str, Any]]) -> str:
    """Return whether int8 is worth it under oneDNN, in a sentence; empty where one of the two was not timed."""
    best: dict[str, float] = {}
    for row in rows:
        if row["backend"].startswith("paddle onednn") and row["status"] == "ok" and row["p50_ms"] is not None:
            best[row["precision"]] = min(row["p50_ms"], best.get(row["precision"], row["p50_ms"]))
    other = "bf16" if "bf16" in best else "fp32"
    if "int8" not in best or other not in best:
        return ""
    gain = best[other] / best["int8"]
    found = f"oneDNN: {other} takes {best[other]:.2f} ms, int8 {best['int8']:.2f} ms, {gain:.2f} times as fast"
    return found if gain > 1 else f"{found}: not worth it here"
