"""What the steps found, under the names of a result; no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deploy.slim.names import name_left
from deploy.slim.pipeline.life import Story
from ppresnet.checkpoint import read


@dataclass(frozen=True)
class Point:
    """One network: top-1 in percent, median milliseconds of a pass, and its size where it is known."""

    name: str
    top1: float
    latency_ms: float
    params: int | None
    macs: int | None


def points(story: Story) -> list[Point]:
    """Return every network of a story, in the order they came to be."""
    rows = story.compare["rows"]
    numbers = [f" {number}" for number in range(1, len(story.rounds) + 1)] if len(story.rounds) > 1 else [""]
    names = ["unpruned", *(f"{what}{number}" for number in numbers for what in ("cut", "fine-tuned"))]
    found = [
        Point(name, row["top1"], row["latency_ms"], row["params"], row["macs"])
        for name, row in zip(names, rows, strict=False)
    ]
    if story.int8 is not None:
        images, all_images = story.int8["quantisation"]["images"], rows[-2]["images"]
        name = "int8" if images == all_images else f"int8, {images} images"
        found.append(Point(name, story.int8["top1_after"], rows[-1]["latency_ms"], None, None))
    return found


def first_figures(story: Story) -> dict[str, Any]:
    """Return the result of the command: sizes, percent and milliseconds before and after."""
    rows = story.compare["rows"][: 1 + 2 * len(story.rounds)]
    whole, cut, final = rows[0], rows[-2], rows[-1]
    result: dict[str, Any] = {}
    for key in ("macs", "params", "latency_ms", "top1"):
        name = key.removesuffix("_ms")
        result |= {f"{name}_before": whole[key], f"{name}_after": final[key]}
    result |= {
        "top1_cut": cut["top1"],
        "latency_ratio": final["ratio"],
        "latency_interval": [final["low"], final["high"]],
    }
    result |= {"checkpoint": final["checkpoint"], "bundle": story.bundle["output"]}
    if story.int8 is not None:
        quantised = story.compare["rows"][-1]
        result |= {"top1_int8": story.int8["top1_after"], "latency_int8": quantised["latency_ms"]}
        result["int8"] = story.int8["output"]
    return result


def widths(story: Story) -> dict[str, tuple[int, int]]:
    """Return the output channels of each convolution and linear layer before and after; 0 where a layer is gone."""
    before, after = (
        _outputs(read(path).weights) for path in (story.checkpoint, story.rounds[-1].finetune["checkpoint"])
    )
    found = {}
    for name in sorted(before, key=_place):
        left: str | None = name
        for each in story.rounds:
            left = None if left is None else name_left(left, each.plan["drop"])
        found[name] = (before[name], 0 if left is None else after.get(left, 0))
    return found


def _place(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Return what sorts layers as they follow each other: the stem, then by number, then the head."""
    parts = [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]
    return {"stem": 0, "head": 2}.get(name.partition(".")[0], 1), parts


def _outputs(weights: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Kernels are [out, in, height, width], matrices [in, out]."""
    return {
        name.removesuffix(".weight"): array.shape[0 if array.ndim == 4 else 1]
        for name, array in weights.items()
        if name.endswith(".weight") and array.ndim in (2, 4)
    }
