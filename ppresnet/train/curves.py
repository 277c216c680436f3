"""Pictures of a run: training curves, confusion matrix and reliability."""

import io
import logging
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from ppresnet.files import atomic_write
from ppresnet.train.calibration import BINS, Calibration
from ppresnet.train.flow import Flow
from ppresnet.train.journal import read_records

mpl.use("Agg")
logging.getLogger("matplotlib").setLevel(logging.WARNING)


def draw_curves(metrics: Path, picture: Path) -> None:
    """Write a PNG of loss, top-1 and learning rate over the steps of a `metrics.jsonl`."""
    records = read_records(metrics)
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    for axis, key, title in zip(axes, ("loss", "top1", "lr"), ("loss", "top-1 (%)", "learning rate"), strict=True):
        for kind, label in (("train", "training"), ("eval", "evaluation")):
            points = [(record["step"], record[key]) for record in records if record["kind"] == kind and key in record]
            if points:
                axis.plot(*zip(*points, strict=True), label=label, marker="." if kind == "eval" else None)
        axis.set(title=title, xlabel="step")
        axis.grid(alpha=0.3)
    if records:
        axes[0].legend()
    _save(figure, picture)


def draw_confusion(confusion: np.ndarray, classes: tuple[str, ...], picture: Path) -> None:
    """Write a PNG of a confusion matrix, int [true class, predicted class], each row as shares of its class."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = min(max(4.0, 0.45 * len(classes)), 24.0)
    figure = Figure(figsize=(side + 1.5, side), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    figure.colorbar(image, ax=axis, label="share of the true class")
    if len(classes) <= 40:
        axis.set_xticks(range(len(classes)), classes, rotation=60, ha="right")
        axis.set_yticks(range(len(classes)), classes)
    if len(classes) <= 20:
        for (row, column), count in np.ndenumerate(confusion):
            if count:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axis.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    axis.set(xlabel="predicted", ylabel="true")
    _save(figure, picture)


def draw_reliability(calibration: Calibration, picture: Path) -> None:
    """Write a PNG of the accuracy in each bin of confidence, and of how many images it has."""
    middles = (np.arange(BINS) + 0.5) / BINS
    images = np.maximum(calibration.images, 1)
    figure = Figure(figsize=(4.5, 6.0), layout="constrained")
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.bar(middles, calibration.right / images, width=0.9 / BINS, label="accuracy")
    axes.plot([0, 1], [0, 1], color="black", linestyle="--", label="calibrated")
    filled = calibration.images > 0
    axes.plot(middles[filled], (calibration.confidence / images)[filled], "o", color="tab:orange", label="confidence")
    axes.set(title=f"ECE {calibration.ece:.2f} %", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    axes.legend()
    counts.bar(middles, calibration.images, width=0.9 / BINS, color="tab:gray")
    counts.set(xlabel="confidence", ylabel="images")
    _save(figure, picture)


def draw_flow(flow: Flow, picture: Path) -> None:
    """Write a PNG of what each block of a network does to features and gradients, from the first block to the last."""
    figure = Figure(figsize=(max(8.0, 2.0 + 0.25 * len(flow.blocks)), 8.0), layout="constrained")
    axes = figure.subplots(4, 1, sharex=True)
    panels = (
        ("features (RMS)", {"input": "input_rms", "output": "output_rms"}),
        ("added / carried", {"change": "change"}),
        ("gradient (L2 norm)", {"by the output": "gradient", "by the weights": "weight_gradient"}),
        ("ReLUs", {"zeros": "zeros", "dead channels": "dead_relus"}),
    )
    for axis, (title, lines) in zip(axes, panels, strict=True):
        for label, key in lines.items():
            values = [getattr(block, key) for block in flow.blocks]
            axis.plot([np.nan if value is None else value for value in values], marker=".", label=label)
        axis.set(ylabel=title)
        axis.grid(alpha=0.3)
        axis.legend()
    axes[2].set_yscale("log")
    axes[3].set_xticks(range(len(flow.blocks)), [block.block for block in flow.blocks], rotation=90, fontsize=7)
    _save(figure, picture)


def _save(figure: Figure, picture: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    atomic_write(picture, buffer.getvalue())
