"""Time the same training loop on stock Paddle settings and on those that `ppresnet.hardware` chooses.

Every run is a fresh process, the two settings take turns, and the first step of each run is not counted. `cores` says
how many cores a run really had: well below its threads, others were using the machine and the ratio means little.
It is there to check that `--model resnet50 --batch 16 --size 224` is at least 2.5 times stock on an AMD CPU.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ppresnet import cli, hardware
from ppresnet.errors import CheckFailedError, RequestError
from ppresnet.hardware import MKL_VARIABLE, THREADS_VARIABLE

SETTINGS = ("stock", "chosen")
TIMES_STOCK = 2.5


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet50", help="a name from tools/zoo.py")
    parser.add_argument("--batch", type=int, default=16, help="images a step")
    parser.add_argument("--size", type=int, default=224, help="height and width of the images")
    parser.add_argument("--steps", type=int, default=4, help="counted steps of one run")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each setting")
    parser.add_argument("--check", action="store_true", help=f"fail below {TIMES_STOCK} times stock settings")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.add_argument("--one", choices=SETTINGS, help=argparse.SUPPRESS)
    wanted = parser.parse_args(given)
    for name in ("batch", "size", "steps", "rounds"):
        if getattr(wanted, name) < 1:
            parser.error(f"--{name}: expected a number from 1 on, found {getattr(wanted, name)}")
    return wanted


def train(wanted: argparse.Namespace) -> dict[str, Any]:
    """Run once in this process, and return the seconds of each counted step, on random images and labels."""
    chosen = hardware.prepare("cpu").describe() if wanted.one == "chosen" else "Paddle's defaults"
    hardware.import_paddle()
    import paddle

    from ppresnet import models

    paddle.set_device("cpu")
    paddle.seed(0)
    network = models.create(wanted.model)
    optimizer = paddle.optimizer.Momentum(learning_rate=0.01, momentum=0.9, parameters=network.parameters())
    images = paddle.randn([wanted.batch, 3, wanted.size, wanted.size])
    labels = paddle.randint(0, 10, [wanted.batch])
    seconds, cores, loss = [], [], float("nan")
    for _ in range(wanted.steps + 1):
        start, cpu = time.perf_counter(), time.process_time()
        mean = paddle.nn.functional.cross_entropy(network(images), labels)
        mean.backward()
        optimizer.step()
        optimizer.clear_grad()
        loss = float(mean)
        seconds.append(time.perf_counter() - start)
        cores.append((time.process_time() - cpu) / seconds[-1])
    had = statistics.mean(cores[1:])
    return {"setting": wanted.one, "hardware": chosen, "seconds": seconds[1:], "cores": had, "loss": loss}


def run_fresh(wanted: argparse.Namespace, setting: str) -> dict[str, Any]:
    """Run once in a process of its own, without what the caller's environment says about MKL and threads."""
    environment = {k: v for k, v in os.environ.items() if k not in {MKL_VARIABLE, THREADS_VARIABLE}}
    command = [sys.executable, __file__, "--one", setting]
    for name in ("model", "batch", "size", "steps"):
        command += [f"--{name}", str(getattr(wanted, name))]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RequestError(f"the {setting} run ended with exit code {done.returncode}; its message stands above")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(wanted: argparse.Namespace) -> dict[str, Any]:
    """Run the settings in turn, and return all runs and what follows from them."""
    runs = []
    for number in range(wanted.rounds):
        for setting in SETTINGS:
            run = run_fresh(wanted, setting)
            speed = wanted.batch / statistics.median(run["seconds"])
            print(f"round {number + 1}: {setting:6} {speed:.2f} images/s on {run['cores']:.2f} cores", file=sys.stderr)
            runs.append(run)
    median = {s: statistics.median(t for r in runs if r["setting"] == s for t in r["seconds"]) for s in SETTINGS}
    return {
        "machine": hardware.machine(),
        "workload": {name: getattr(wanted, name) for name in ("model", "batch", "size", "steps", "rounds")},
        "hardware": runs[-1]["hardware"],
        "step_seconds": median,
        "images_per_second": {s: wanted.batch / median[s] for s in SETTINGS},
        "ratio": median["stock"] / median["chosen"],
        "cores": {s: statistics.mean(r["cores"] for r in runs if r["setting"] == s) for s in SETTINGS},
        "round_ratios": [
            statistics.median(a["seconds"]) / statistics.median(b["seconds"])
            for a, b in zip(runs[::2], runs[1::2], strict=True)
        ],
        "runs": runs,
    }


def report(result: dict[str, Any]) -> str:
    """Return the result for people."""
    speed, load, cores = result["images_per_second"], result["workload"], result["cores"]
    ratios = ", ".join(f"{ratio:.2f}" for ratio in result["round_ratios"])
    return (
        f"{result['machine']}\n{load['model']}, {load['size']} x {load['size']}, batch {load['batch']}, "
        f"medians of {load['rounds']} x {load['steps']} steps\n"
        f"stock  {speed['stock']:8.2f} images/s on {cores['stock']:.2f} cores\n"
        f"chosen {speed['chosen']:8.2f} images/s on {cores['chosen']:.2f} cores ({result['hardware']})\n"
        f"ratio  {result['ratio']:8.2f}  (by round: {ratios})"
    )


def main(wanted: argparse.Namespace) -> cli.Result:
    """Run the comparison, or one run of it."""
    if wanted.one:
        print(json.dumps(train(wanted)))
        return None
    result = compare(wanted)
    print(report(result))
    if wanted.check and result["ratio"] < TIMES_STOCK:
        raise CheckFailedError(
            f"expected {TIMES_STOCK} times the speed of stock settings, found {result['ratio']:.2f}", result
        )
    return result


if __name__ == "__main__":
    sys.exit(cli.run(main, arguments()))
