"""Cut a checkpoint by a plan: python deploy/slim/cut.py --checkpoint runs/X --plan plan.json --output runs/X_half."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.slim.command import Opened, count_or_0, opened, parser
from ppresnet import cli
from ppresnet.checkpoint import Store
from ppresnet.errors import RequestError

if TYPE_CHECKING:
    from deploy.slim.plan_file import Plan
    from ppresnet.checkpoint import Checkpoint


def main(arguments: argparse.Namespace) -> cli.Result:
    """Write the smaller checkpoint, and return what it costs and how well it does."""
    found = opened(arguments)
    from deploy.slim.cutting import cut
    from deploy.slim.plan_file import read_plan
    from deploy.slim.recalibration import recalibrated
    from deploy.slim.subset import load_subset, quality
    from ppresnet.checkpoint.state import model_of

    plan = read_plan(arguments.plan)
    store = Store(arguments.output / "checkpoints")
    step = int(found.checkpoint.progress.get("step") or 0)
    _expect_room(arguments.output, store, step, found.path)
    smaller = cut(found.checkpoint, plan)
    if arguments.reconstruct:
        smaller = _reconstructed(arguments, found, plan, smaller)
    if arguments.recalibrate:
        images = load_subset(found.config, "train", arguments.recalibrate)
        smaller = recalibrated(smaller, (batch for batch, _ in images.batches()))
    path = store.save(smaller, step)
    result: dict[str, Any] = {"checkpoint": str(path), "plan": str(arguments.plan), "before": plan.before.model_dump()}
    result |= {"after": plan.after.model_dump(), "size_bytes": (path / "weights.safetensors").stat().st_size}
    if arguments.evaluate:
        images = load_subset(found.config, "val", arguments.evaluate)
        for name, checkpoint in (("top1_before", found.checkpoint), ("top1_after", smaller)):
            result[name] = quality(model_of(checkpoint), images).top1
        print(f"top-1 of {len(images.labels)} images: {result['top1_before']:.2f} to {result['top1_after']:.2f} %")
    print(f"{path}: {plan.after.params:,} parameters, {plan.after.macs:,} MACs; train it with init_from: {path}")
    return result


def _expect_room(output: Path, store: Store, step: int, source: Path) -> None:
    """Check that a folder holds nothing, or what a cut of the same step left before."""
    if store.path(step).resolve() == source.resolve():
        raise RequestError(f"--output: {source} is what is cut, and would be replaced; name another folder")
    others = [path for path in store.steps() if path != store.path(step)]
    trained = output / "metrics.jsonl"
    if others or trained.exists():
        found = others[0] if others else trained
        raise RequestError(f"--output: expected a folder without another network, found {found}; name another folder")


def _reconstructed(arguments: argparse.Namespace, found: Opened, plan: Plan, smaller: Checkpoint) -> Checkpoint:
    from deploy.slim.grouping import channel_graph
    from deploy.slim.kept import Kept
    from deploy.slim.reconstruction import reconstructed
    from deploy.slim.subset import load_subset
    from ppresnet.checkpoint.state import spec_of_checkpoint

    if plan.drop:
        raise RequestError(
            f"--reconstruct: expected a plan of channels, found one without {plan.drop[0]}; leave --reconstruct out"
        )
    images = load_subset(found.config, "train", arguments.reconstruct)
    kept = Kept(channel_graph(spec_of_checkpoint(found.checkpoint)), plan.keep)
    return reconstructed(found.checkpoint, smaller, kept, [batch for batch, _ in images.batches()])


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    made = parser("Write the checkpoint of the smaller network that a plan describes.")
    made.add_argument("--plan", type=Path, required=True, metavar="FILE", help="from deploy/slim/plan.py")
    made.add_argument("--output", type=Path, required=True, metavar="DIR", help="run folder of the new checkpoint")
    made.add_argument(
        "--recalibrate",
        type=count_or_0,
        default=2048,
        metavar="N",
        help="training images for BatchNorm (2048; 0: no)",
    )
    made.add_argument(
        "--reconstruct",
        type=count_or_0,
        default=0,
        metavar="N",
        help="training images to fit what is left (0: no)",
    )
    made.add_argument("--evaluate", type=count_or_0, default=0, metavar="N", help="compare on N evaluation images")
    return made.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
