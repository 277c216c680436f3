r"""Whether a network learns as well on oneDNN's kernels as on Paddle's own.

Trains one recipe with Paddle's own kernels (with the MKL type that `ppresnet.hardware` chooses), with oneDNN's in
float32, and with bfloat16 inside those, each with some seeds, in turn, and compares the accuracies. It is there to
check that the means differ by 0.3 points at most:

    python tools/bench/kernel_accuracy.py -c configs/cifar10/resnet20.yaml --output runs/kernels --jobs 2 \
        -o data.root=PATH/cifar10_jpeg.zip data.input_size=16 train.epochs=4 train.eval_every=4 train.start_size=null \
        optim.lr=0.02 schedule.warmup_epochs=1 hardware.threads=1 \
        "data.augment=[{name: random_resized_crop, scale: [0.6, 1.0]}, {name: random_flip}]"

Runs that are finished stay, and one that was stopped goes on; so the command can be given again.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ppresnet import cli, hardware
from ppresnet.errors import CheckFailedError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.runs import Training, results  # a neighbour

STOCK = "stock"
KERNELS = {
    STOCK: ("hardware.onednn=disabled", "amp.level=O0"),
    "oneDNN fp32": ("hardware.onednn=enabled", "amp.level=O0"),
    "oneDNN bf16": ("hardware.onednn=enabled", "amp.level=O1", "amp.dtype=bfloat16"),
}
MOST = 0.3  # points of top-1 between means

Accuracies = Mapping[str, Sequence[float]]
"""From kernels to the top-1 with each seed, percent."""


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser(__doc__ or "", recipe=True)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="of the runs")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs on each of them (default: 3)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at a time (default: 1)")
    return parser.parse_args(words)


def training(name: str, seed: int, wanted: argparse.Namespace) -> Training:
    """Return the training on some kernels with a seed."""
    output = wanted.output / f"{name.replace(' ', '_').lower()}_seed{seed}"
    return Training(wanted.config, output, [*wanted.overrides, *KERNELS[name], f"seed={seed}"])


def judge(top1: Accuracies) -> list[str]:
    """Return what does not hold, a line each."""
    means = {name: statistics.fmean(values) for name, values in top1.items()}
    return [
        f"{name}: expected a mean within {MOST} of {means[STOCK]:.2f} %, found {mean:.2f} %"
        for name, mean in means.items()
        if abs(mean - means[STOCK]) > MOST
    ]


def main(wanted: argparse.Namespace) -> cli.Result:
    """Train all, print what came of it, and return it."""
    seeds = range(1, wanted.seeds + 1)
    trainings = [training(name, seed, wanted) for seed in seeds for name in KERNELS]
    found = [run["top1"] for run in results(trainings, wanted.jobs)]
    top1 = {name: found[place :: len(KERNELS)] for place, name in enumerate(KERNELS)}
    for name, values in top1.items():
        shown = "".join(f"  {value:.2f}" for value in values)
        print(f"{name:12}{shown}  mean {statistics.fmean(values):.2f}  spread {max(values) - min(values):.2f}")
    missed = judge(top1)
    result = {"machine": hardware.machine(), "overrides": wanted.overrides, "top1": top1, "problems": missed}
    if missed:
        raise CheckFailedError("; ".join(missed), result)
    return result


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
