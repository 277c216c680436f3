"""Sensitivity curves as a PNG."""

from __future__ import annotations

from pathlib import Path

from deploy.slim.sensitivities import Sensitivity


def draw_sensitivity(found: Sensitivity, picture: Path, columns: int = 4) -> None:
    """Draw top-1 over the share that is masked, a panel for each stage, a line for each group.

    Args:
        found: the measurements.
        picture: PNG to write.
        columns: panels in a row.

    Raises:
        OSError: the picture could not be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels: dict[str, list[str]] = {}
    for name in found.groups:
        head, _, rest = name.partition(".")
        panels.setdefault(f"stage {rest.partition('.')[0]}" if head == "stages" else head, []).append(name)
    rows = -(-max(len(panels), 1) // columns)
    figure = Figure(figsize=(4.2 * min(columns, max(len(panels), 1)), 3.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (title, names) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(rows, min(columns, len(panels)), number)
        for name in names:
            points = sorted(found.groups[name].items())
            shares = [0.0, *(100 * share for share, _ in points)]
            short = name.removeprefix("stages.").removesuffix(".conv")
            axes.plot(shares, [found.whole.top1, *(each.top1 for _, each in points)], marker=".", label=short)
        axes.set(title=title, xlabel="channels masked, %", ylabel="top-1, %", ylim=(0, 102))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=6)
    figure.savefig(picture, dpi=110, format="png")
