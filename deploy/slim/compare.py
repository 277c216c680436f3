"""Measure networks side by side: python deploy/slim/compare.py --checkpoint runs/X --smaller runs/X_half."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.slim.command import Opened, opened, parser
from deploy.slim.latency_flags import add_timing, stopwatch_of
from ppresnet import cli
from ppresnet.checkpoint import Checkpoint, read, resolve

if TYPE_CHECKING:
    from deploy.slim.latency import Stopwatch
    from deploy.slim.plan_file import Latency
    from ppresnet.spec import ModelSpec


def main(arguments: argparse.Namespace) -> cli.Result:
    """Return accuracy, size and latency of each network, the whole one first; each is timed in turn with that."""
    found = opened(arguments)
    from deploy.inference.runtime import refuse
    from ppresnet.checkpoint.state import spec_of_checkpoint

    watch = stopwatch_of(arguments, found)
    refuse(watch.runtime, "pdmodel")
    whole = spec_of_checkpoint(found.checkpoint)
    rows = [_row(found, found.path, found.checkpoint)]
    timed: dict[str, Latency] = {}
    for path in map(resolve, arguments.smaller):
        checkpoint = read(path)
        spec = spec_of_checkpoint(checkpoint)
        same = spec.model_dump_json()
        if same not in timed:
            timed[same] = watch.compare(whole, spec)
        rows.append({**_row(found, path, checkpoint), **_times(timed[same])})
    if arguments.int8 is not None:
        rows.append({"checkpoint": str(arguments.int8), **_times(_int8(arguments, watch, whole))})
    if len(rows) > 1:
        # Each was timed in turn with the whole network in a minute of its own; only the ratios can be compared.
        rows[0]["latency_ms"] = rows[1]["before_ms"]
        for row in rows[1:]:
            row["latency_ms"] = row["ratio"] * rows[0]["latency_ms"]
    for row in rows:
        cli.say(", ".join(f"{key} {value:.4g}" for key, value in row.items() if isinstance(value, (int, float))))
    return {"rows": rows, "backend": watch.runtime.backend, "threads": watch.runtime.threads}


def _row(found: Opened, path: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what a network costs, and how it does on the whole evaluation split."""
    from ppresnet.checkpoint.state import model_of
    from ppresnet.models import cost
    from ppresnet.train.evaluate import evaluate_split

    model = model_of(checkpoint)
    size, quality = cost(model.spec), evaluate_split(model, found.config)
    row = {"checkpoint": str(path), "params": size.params, "macs": size.macs}
    return {**row, "top1": quality.top1, "loss": quality.loss, "images": quality.count}


def _times(found: Latency) -> dict[str, Any]:
    interval = {"ratio": found.ratio, "low": found.low, "high": found.high}
    return {"latency_ms": found.after_ms, "before_ms": found.before_ms, **interval}


def _int8(arguments: argparse.Namespace, watch: Stopwatch, whole: ModelSpec) -> Latency:
    """Return how long an int8 bundle takes beside the whole network in float."""
    import numpy as np

    from deploy.inference.session import Session
    from deploy.slim.latency import Stopwatch
    from ppresnet.bundle import read_bundle

    bundle = read_bundle(arguments.int8)
    session = Session(bundle.path, replace(watch.runtime, backend="onednn", precision="int8"))
    images = np.resize(bundle.golden()[0], (arguments.batch, *bundle.golden()[0].shape[1:]))
    runs = {"whole": watch.frozen(whole), "int8": lambda: session(images)}
    specs = [whole, whole.model_copy(update={"name": "int8"})]
    turns = Stopwatch(
        watch.runtime, watch.batch, watch.rounds, lambda spec: runs["int8" if spec.name == "int8" else "whole"]
    )
    return turns.compare(*specs)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    made = parser("Measure networks side by side: accuracy on the evaluation split, size, latency.")
    made.add_argument("--smaller", type=Path, action="append", default=[], metavar="P", help="a network cut from it")
    made.add_argument("--int8", type=Path, metavar="BUNDLE", help="an int8 bundle, timed too")
    add_timing(made, "how networks are timed")
    return made.parse_args(argv)


if __name__ == "__main__":
    cli.tidy_on_sigterm()
    sys.exit(cli.run(main, parse()))
