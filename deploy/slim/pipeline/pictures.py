"""The pictures of a report, as PNG: widths before and after, and accuracy over latency."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.slim.pipeline.figures import Point
from ppresnet.files import atomic_write

WHOLE, LEFT = "#d3d9e0", "#1f5fa8"


def draw_widths(found: Mapping[str, tuple[int, int]], picture: Path) -> None:
    """Draw a bar for each layer: its output channels before, and on top of it those that are left.

    Raises:
        StorageError: the picture could not be written.
    """
    figure, axes = _figure(7.5, 1.2 + 0.17 * len(found))
    places = range(len(found))
    axes.barh(places, [before for before, _ in found.values()], color=WHOLE, label="before")
    axes.barh(places, [after for _, after in found.values()], color=LEFT, height=0.5, label="after")
    axes.set_yticks(places, list(found), fontsize=6)
    axes.set(xlabel="output channels", ylim=(len(found) - 0.4, -0.6))
    axes.legend(loc="lower right", fontsize=8)
    axes.grid(alpha=0.3, axis="x")
    _save(figure, picture)


def draw_front(found: Sequence[Point], picture: Path) -> None:
    """Draw accuracy over latency, a point for each network, in the order they came to be.

    Raises:
        StorageError: the picture could not be written.
    """
    figure, axes = _figure(6.4, 4.2)
    axes.plot([each.latency_ms for each in found], [each.top1 for each in found], color=WHOLE, zorder=1)
    for number, each in enumerate(found):
        axes.scatter(each.latency_ms, each.top1, color=f"C{number}", label=each.name, zorder=2)
    axes.set(xlabel="latency, ms (median)", ylabel="top-1, %", xlim=(0, 1.25 * max(each.latency_ms for each in found)))
    axes.margins(y=0.15)
    axes.legend(loc="lower left", fontsize=8)
    axes.grid(alpha=0.3)
    _save(figure, picture)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(figure: Any, picture: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110, format="png")
    atomic_write(picture, buffer.getvalue())
