"""The report: `report.md` for people, `report.json` for programs, and their pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deploy.slim.command import JOINT
from deploy.slim.pipeline.figures import Point, first_figures, points, widths
from deploy.slim.pipeline.life import Story
from deploy.slim.pipeline.pictures import draw_front, draw_widths
from ppresnet.files import atomic_write

COSTS = {"macs": "MACs", "params": "parameters", "latency": "latency"}


@dataclass(frozen=True)
class Report:
    """The first figures, a sentence, and the points of top-1 that were lost on the way."""

    figures: dict[str, Any]
    summary: str
    lost: float


def write_report(story: Story, folder: Path) -> Report:
    """Write the report with its pictures into a folder.

    Raises:
        CheckpointError: a network of the story is missing or damaged.
        StorageError: a file could not be written.
    """
    figures, networks, layers = first_figures(story), points(story), widths(story)
    draw_widths(layers, folder / "widths.png")
    draw_front(networks, folder / "front.png")
    whole = {
        **figures,
        "networks": [asdict(point) for point in networks],
        "widths": {name: {"before": before, "after": after} for name, (before, after) in layers.items()},
        "frozen": story.rounds[0].plan["frozen"],
        "recipe": story.recipe.config.model_dump(mode="json"),
        "seconds": story.seconds,
    }
    atomic_write(folder / "report.json", json.dumps(whole, indent=1) + "\n")
    report = Report(figures, summary(figures), lost(story))
    atomic_write(folder / "report.md", "\n".join(_lines(story, report, networks, layers, folder)) + "\n")
    return report


def lost(story: Story) -> float:
    """Return the points of top-1 lost from the whole network to the last one.

    What int8 costs is measured on images of its own, which may be fewer, so its own before and after count.
    """
    rows = story.compare["rows"]
    points = float(rows[0]["top1"] - rows[2 * len(story.rounds)]["top1"])
    return points if story.int8 is None else points + float(story.int8["top1_before"] - story.int8["top1_after"])


def summary(figures: dict[str, Any]) -> str:
    """Return the first figures as a sentence."""
    macs, params = (figures[f"{name}_after"] / figures[f"{name}_before"] for name in ("macs", "params"))
    low, high = figures["latency_interval"]
    return (
        f"{macs:.1%} of the MACs, {params:.1%} of the parameters, {figures['latency_ratio']:.1%} of the latency (95 % "
        f"interval {low:.1%} to {high:.1%}); top-1 {figures['top1_before']:.2f} %, {figures['top1_cut']:.2f} % after "
        f"the cut, {figures['top1_after']:.2f} % after fine-tuning"
        + (f", {figures['top1_int8']:.2f} % in int8" if "top1_int8" in figures else "")
    )


def _lines(
    story: Story, report: Report, networks: list[Point], layers: dict[str, tuple[int, int]], folder: Path
) -> Iterator[str]:
    config, compared = story.recipe.config, story.compare
    (kind, share), how = config.target.chosen, config.importance
    yield from (f"# {config.name}", "", f"{report.summary[0].upper()}{report.summary[1:]}.", "")
    scores = how.score if how.score in JOINT else f"{how.score} by {how.aggregate}"
    yield f"Target: {f'{share:.1%}'.replace('.0%', '%')} of the {COSTS[kind]}."
    if config.allocation.blocks:
        yield "Whole blocks went, those first without which the loss rises the least."
    else:
        yield f"Scores: {scores}; {config.allocation.name} allocation, engine {config.engine}."
    yield f"Latency: {compared['backend']} {config.latency.precision}, batch {config.latency.batch},"
    yield f"threads {compared['threads']}, medians in turn."
    yield from ("", "| network | top-1, % | parameters | MACs | latency, ms |", "| --- | ---: | ---: | ---: | ---: |")
    for each in networks:
        sizes = (f"{size:,}" if size is not None else "" for size in (each.params, each.macs))
        yield f"| {each.name} | {each.top1:.2f} | {' | '.join(sizes)} | {each.latency_ms:.3f} |"
    yield from _bundle_lines(story)
    yield from ("", "![accuracy over latency](front.png)", "", "## Sensitivity", "")
    for cut in story.rounds:
        picture = Path(cut.sensitivity["file"]).with_suffix(".png")
        yield f"![top-1 without a share of each group]({os.path.relpath(picture, folder)})"
    yield from ("", "## Widths", "", "![output channels of each layer](widths.png)", "")
    yield from ("| layer | before | after | left |", "| --- | ---: | ---: | ---: |")
    for name, (before, after) in layers.items():
        yield f"| {name} | {before} | {after or 'gone'} | {after / before:.0%} |"
    frozen = story.rounds[0].plan["frozen"]
    yield from ("", *(f"Stays whole: {name}: {reason}." for name, reason in frozen.items()))
    yield from ("", "## Steps", "", "| step | seconds |", "| --- | ---: |")
    yield from (f"| {name} | {seconds:.1f} |" for name, seconds in story.seconds.items())
    places = {"checkpoint": report.figures["checkpoint"], "bundle": report.figures["bundle"]}
    yield from ("", *(f"- {name}: `{os.path.relpath(path, folder)}`" for name, path in places.items()))
    if "int8" in report.figures:
        yield f"- int8 bundle: `{os.path.relpath(report.figures['int8'], folder)}`"


def _bundle_lines(story: Story) -> Iterator[str]:
    if (int8 := story.int8) is not None:
        images = int8["quantisation"]["images"]
        yield from ("", f"int8: top-1 of {images} images {int8['top1_before']:.2f} to {int8['top1_after']:.2f} %.")
    if story.failure is not None:
        yield from ("", f"Bundles, what did not hold: {story.failure}")
