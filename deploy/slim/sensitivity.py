"""Measure what each channel group costs: python deploy/slim/sensitivity.py --checkpoint runs/X --output DIR."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from deploy.slim.command import MEASURED, add_importance, opened, parser, scores_of, share
from ppresnet import cli
from ppresnet.files import atomic_write


def main(arguments: argparse.Namespace) -> cli.Result:
    """Measure what is missing in `sensitivity.json`, draw `sensitivity.png`, and return the measurements."""
    found = opened(arguments)
    from deploy.slim.curves import draw_sensitivity
    from deploy.slim.grouping import channel_graph
    from deploy.slim.sensitivities import measure
    from deploy.slim.subset import load_subset
    from ppresnet.checkpoint.state import spec_of_checkpoint

    graph = channel_graph(spec_of_checkpoint(found.checkpoint))
    for group in graph.frozen.values():
        cli.say(f"frozen: {group.name}: {group.frozen}")
    scores = scores_of(arguments, found.config, found.checkpoint, graph)
    arguments.output.mkdir(parents=True, exist_ok=True)
    settings = {
        "importance": arguments.importance,
        "aggregate": arguments.aggregate,
        "seed": arguments.seed,
        "split": arguments.split,
        "images": arguments.subset,
        "scored_on": arguments.images if arguments.importance in MEASURED else 0,
        "data": f"{found.config.data.format} {found.config.data.input_size}",
        "root": found.config.data.root,
    }
    subset = load_subset(found.config, arguments.split, arguments.subset)
    file = arguments.output / "sensitivity.json"
    measured = measure(found.checkpoint, graph, scores, subset, file, settings, arguments.shares, cli.say)
    if small := [group for group in graph if not measured.groups.get(group.name)]:
        for group in small:
            cli.say(f"{group.name}: {group.units} units, of which none of the shares takes one; nothing was measured")
        measured = replace(measured, groups={**{group.name: {} for group in small}, **measured.groups})
        atomic_write(file, json.dumps(measured.as_dict(), indent=1) + "\n")
    draw_sensitivity(measured, arguments.output / "sensitivity.png")
    print(f"top-1 {measured.whole.top1:.2f} % of {len(subset.labels)} images; {len(measured.groups)} groups in {file}")
    return {**measured.as_dict(), "checkpoint": str(found.path), "file": str(file)}


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    made = parser("Measure the accuracy without a share of each channel group; what was measured is not done again.")
    made.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the JSON and the PNG")
    made.add_argument("--split", choices=("train", "val"), default="train", help="where images are from (train)")
    made.add_argument(
        "--subset", type=cli.positive, default=1024, metavar="N", help="images to measure on (default 1024)"
    )
    made.add_argument(
        "--shares", type=share, nargs="+", default=[0.125, 0.25, 0.5, 0.75], metavar="X", help="shares to mask"
    )
    add_importance(made)
    return made.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
