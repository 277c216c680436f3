"""Deeper networks with and without skips: the degradation experiment of He et al. 2015 (arXiv:1512.03385, figure 6).

Trains the CIFAR-10 recipes of plain and residual networks with 20 and 56 layers, each with the same budget and some
seeds, and compares their losses on the training images in the last epoch. It is there to check that 56 layers are worse
than 20 without skips, and no worse than the spread of the seeds with them:

    python tools/bench/degradation.py --data PATH/cifar10_jpeg.zip --output runs/degradation

Runs that are finished stay, and one that was stopped goes on; so the command can be given again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ppresnet import cli, hardware
from ppresnet.errors import CheckFailedError
from ppresnet.train.journal import read_records

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.runs import ROOT, Training, results  # a neighbour

NETWORKS = ("plain20", "resnet20", "plain56", "resnet56")
# The deep residual network has caught up after few epochs if its blocks start as the identity (Goyal et al. 2017,
# arXiv:1706.02677, section 5.1), which blocks without a skip cannot.
START = {"resnet20": ["model.zero_init_gamma=true"], "resnet56": ["model.zero_init_gamma=true"]}
SAME = "data.augment=[{name: random_crop, padding: 4}, {name: random_flip}]"  # one of the recipes has its own
STYLES = {"plain20": ("C0", ":"), "resnet20": ("C1", ":"), "plain56": ("C0", "-"), "resnet56": ("C1", "-")}

Losses = Mapping[str, Sequence[float]]
"""From a network to its last loss with each seed."""


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser(__doc__ or "")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="CIFAR-10 as a folder or a zip")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="of the runs and the picture")
    parser.add_argument("--epochs", type=int, default=4, metavar="N", help="of every run (default: 4)")
    parser.add_argument("--seeds", type=int, default=2, metavar="N", help="runs of each network (default: 2)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at a time (default: 1)")
    parser.add_argument("-o", dest="overrides", action="extend", nargs="+", default=[], metavar="KEY=VALUE",
                        help="override keys of all four recipes")  # fmt: skip
    return parser.parse_args(words)


def training(network: str, seed: int, wanted: argparse.Namespace) -> Training:
    """Return the training of a network with a seed."""
    root = json.dumps(str(wanted.data.resolve()), ensure_ascii=False)  # YAML would take `set #2` for `set`
    settings = [f"data.root={root}", f"train.epochs={wanted.epochs}", f"seed={seed}"]
    overrides = [SAME, *START.get(network, []), *wanted.overrides, *settings]
    recipe = ROOT / "configs" / "cifar10" / f"{network}.yaml"
    return Training(recipe, wanted.output / f"{network}_seed{seed}", overrides)


def curve(run: Path) -> list[tuple[int, float]]:
    """Return the losses of a run on its training images as (step, mean since the step before)."""
    return [(one["step"], one["loss"]) for one in _trained(run)]


def last_loss(run: Path, epochs: int) -> float:
    """Return the mean loss on the training images in the last epoch."""
    return statistics.fmean(one["loss"] for one in _trained(run) if one["epoch"] == epochs - 1)


def _trained(run: Path) -> list[dict[str, Any]]:
    return [one for one in read_records(run / "metrics.jsonl") if one["kind"] == "train"]


def judge(losses: Losses) -> list[str]:
    """Return what does not hold, a line each."""
    mean = {network: statistics.fmean(values) for network, values in losses.items()}
    spread = max(max(losses[name]) - min(losses[name]) for name in ("resnet20", "resnet56"))
    missed = []
    if mean["plain56"] <= mean["plain20"]:
        missed.append(f"plain: expected 56 layers above {mean['plain20']:.4f} of 20, found {mean['plain56']:.4f}")
    if mean["resnet56"] > mean["resnet20"] + spread:
        bound = mean["resnet20"] + spread
        missed.append(f"residual: expected 56 layers at {bound:.4f} or below, found {mean['resnet56']:.4f}")
    return missed


def draw(runs: Mapping[str, Sequence[Path]], picture: Path) -> None:
    """Write the training losses over the steps, the mean of the seeds."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for network, folders in runs.items():
        curves = [curve(folder) for folder in folders]
        steps = [step for step, _ in curves[0]]
        values = [
            statistics.fmean(losses) for losses in zip(*([loss for _, loss in one] for one in curves), strict=True)
        ]
        color, line = STYLES[network]
        axis.plot(steps, values, line, color=color, label=network)
    axis.set(xlabel="step", ylabel="training loss", yscale="log", title="Degradation, and its absence with skips")
    axis.grid(alpha=0.3, which="both")
    axis.legend()
    figure.savefig(picture, dpi=80)


def main(wanted: argparse.Namespace) -> cli.Result:
    """Train all, print and draw what came of it, and return it."""
    seeds = range(1, wanted.seeds + 1)
    trainings = {network: [training(network, seed, wanted) for seed in seeds] for network in NETWORKS}
    results([one for of in trainings.values() for one in of], wanted.jobs)
    runs = {network: [one.output for one in of] for network, of in trainings.items()}
    losses = {network: [last_loss(folder, wanted.epochs) for folder in of] for network, of in runs.items()}
    draw(runs, wanted.output / "degradation.png")
    for network, values in losses.items():
        print(f"{network:9}" + "".join(f"  {value:.4f}" for value in values) + f"  mean {statistics.fmean(values):.4f}")
    missed = judge(losses)
    found: dict[str, Any] = {"machine": hardware.machine(), "epochs": wanted.epochs, "training_loss": losses}
    found["problems"] = missed
    if missed:
        raise CheckFailedError("; ".join(missed), found)
    return found


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
