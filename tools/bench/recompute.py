"""Memory and time of recompute, in fresh processes that take turns, with the gradients compared bit for bit.

Memory is the peak above that of the built network, and stands beside the most that the model of activations predicts.
It is there to check that `cifar_resnet110` at batch 128 needs at most 40 % of the memory and 1.4 times the time, and
that `cifar_resnet1202` trains a step in less than 6 GiB; it ends with 3 where that does not hold:

    python tools/bench/recompute.py
    python tools/bench/recompute.py --deep
"""

import argparse
import hashlib
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from ppresnet import cli, hardware
from ppresnet.errors import CheckFailedError

MOST_MEMORY, MOST_TIME = 0.4, 1.4
DEEP = {"model": "cifar_resnet1202", "every": 10, "steps": 1, "rounds": 1, "without_reference": True}
DEEP_MB = 6 * 1024


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser(__doc__ or "")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--model", default="cifar_resnet110", help="a network of the zoo (default: cifar_resnet110)")
    parser.add_argument("--every", type=int, default=3, metavar="K", help="blocks to one segment (default: 3)")
    parser.add_argument("--batch", type=int, default=128, metavar="N", help="images of a step (default: 128)")
    parser.add_argument("--size", type=int, default=32, metavar="PIXELS", help="side of the images (default: 32)")
    parser.add_argument("--steps", type=int, default=4, metavar="N", help="steps of one run (default: 4)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each setting (default: 3)")
    parser.add_argument("--without-reference", action="store_true", help="leave out the runs without recompute")
    parser.add_argument("--deep", action="store_true", help="one step of cifar_resnet1202 with segments of 10 blocks")
    parser.add_argument("--one-run", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def step_often(wanted: argparse.Namespace) -> dict[str, Any]:
    """Train some steps in this process, and return memory in MiB, the seconds of each, and a hash of the gradients."""
    hardware.prepare("cpu")
    hardware.import_paddle()
    import paddle

    from ppresnet import onednn
    from ppresnet.models import create
    from ppresnet.train.activations import measure_activations, taken_mb
    from ppresnet.train.kernels import COMPOSITES
    from ppresnet.train.recompute import recompute_blocks

    paddle.set_device("cpu")
    onednn.enable("auto", "float32", **COMPOSITES)
    paddle.seed(0)
    model = create(wanted.model, in_channels=3)
    model.train()
    activations = measure_activations(model, paddle.zeros([1, 3, wanted.size, wanted.size]))
    if wanted.every:
        recompute_blocks(model, wanted.every, activations.spared(wanted.every))
    images, labels = paddle.randn([wanted.batch, 3, wanted.size, wanted.size]), paddle.randint(0, 10, [wanted.batch])
    built, seconds = hardware.peak_memory_mb(), []
    for _ in range(wanted.steps):
        model.clear_gradients()
        start = time.perf_counter()
        paddle.nn.functional.cross_entropy(model(images), labels).backward()
        seconds.append(time.perf_counter() - start)
    gradients, state = hashlib.sha256(), model.state_dict()
    for parameter in model.parameters():
        if not parameter.stop_gradient:
            gradients.update(parameter.grad.numpy().tobytes())
    for tensor in state.values():
        gradients.update(tensor.numpy().tobytes())
    return {
        "predicted_mb": taken_mb(activations, wanted.batch, wanted.every),
        "above_built_mb": hardware.peak_memory_mb() - built,
        "peak_memory_mb": hardware.peak_memory_mb(),
        "seconds": seconds,
        "sha256": gradients.hexdigest(),
    }


def run(wanted: argparse.Namespace, every: int) -> dict[str, Any]:
    """Run once in a fresh process."""
    named = {"model": wanted.model, "batch": wanted.batch, "size": wanted.size, "steps": wanted.steps, "every": every}
    flags = [part for name, value in named.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, __file__, "--one-run", *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def judge(found: Mapping[str, Any], peak_mb: float, most_mb: float) -> list[str]:
    """Return what does not hold, a line each: of a comparison, where there is one, and of the peak alone."""
    problems = []
    if found.get("above_built_mb", 0) > MOST_MEMORY:
        problems.append(f"expected at most {MOST_MEMORY} of the memory, found {found['above_built_mb']:.2f}")
    if found.get("seconds", 0) > MOST_TIME:
        problems.append(f"expected at most {MOST_TIME} times the time, found {found['seconds']:.2f}")
    if not found.get("bit_equal", True):
        problems.append("expected gradients and statistics equal bit for bit, found others")
    if peak_mb >= most_mb:
        problems.append(f"expected a step in less than {most_mb} MB, found {peak_mb:.0f}")
    return problems


def main(wanted: argparse.Namespace) -> cli.Result:
    """Run all settings in turn, print what came of it, and return it."""
    if wanted.one_run:
        print(json.dumps(step_often(wanted)))
        return None
    if wanted.deep:
        vars(wanted).update(DEEP)
    settings = [wanted.every] if wanted.without_reference else [0, wanted.every]
    runs: dict[int, list[dict[str, Any]]] = {every: [] for every in settings}
    for _ in range(wanted.rounds):
        for every in settings:
            runs[every].append(run(wanted, every))
    rows = {
        every: {
            "predicted_mb": of[0]["predicted_mb"],
            "above_built_mb": statistics.median(one["above_built_mb"] for one in of),
            "peak_memory_mb": max(one["peak_memory_mb"] for one in of),
            "seconds": statistics.median(value for one in of for value in one["seconds"][len(one["seconds"]) > 1 :]),
        }
        for every, of in runs.items()
    }
    print(hardware.machine())
    for every, row in rows.items():
        print(f"every {every:3}: " + ", ".join(f"{name} {value:.2f}" for name, value in row.items()))
    found: dict[str, Any] = {"machine": hardware.machine(), "rows": rows}
    if not wanted.without_reference:
        plain, again = rows[0], rows[wanted.every]
        found |= {name: again[name] / plain[name] for name in ("above_built_mb", "seconds")}
        found["bit_equal"] = len({one["sha256"] for of in runs.values() for one in of}) == 1
        print(f"memory {found['above_built_mb']:.2f} (at most {MOST_MEMORY}), time {found['seconds']:.2f} "
              f"(at most {MOST_TIME}), bit-equal: {found['bit_equal']}")  # fmt: skip
    most = DEEP_MB if wanted.deep else math.inf
    found["problems"] = judge(found, rows[wanted.every]["peak_memory_mb"], most)
    if found["problems"]:
        raise CheckFailedError("; ".join(found["problems"]), found)
    return found


if __name__ == "__main__":
    sys.exit(cli.run(main, arguments()))
