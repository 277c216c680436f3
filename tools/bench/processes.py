"""Time the same training steps in one process and in several: python tools/bench/processes.py --json FILE.

The settings take turns, round by round, each in fresh processes on random images: one process with one thread, one
process with all cores, and as many processes as cores with one thread each. The whole batch is the same. It is there to
check that the processes have at least 1.6 times the throughput of one process with one thread on two cores. `load` is
that of the machine before each run: where it is not near zero, the ratios mean little.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from ppresnet import cli, hardware
from ppresnet.config import RunConfig, from_dict
from ppresnet.errors import CheckFailedError
from ppresnet.hardware import THREADS_VARIABLE

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from parallel_choice import pace  # a neighbour of tools/train.py

TARGET = 1.6  # times one process with one thread, for each two cores


def recipe(wanted: argparse.Namespace) -> RunConfig:
    """Return the recipe of the network that is timed."""
    channels = 3 if wanted.size > 8 else 1
    return from_dict(
        {
            "model": {"name": wanted.model, "in_channels": channels},
            "data": {"input_size": wanted.size, "mean": [0.5] * channels, "std": [0.25] * channels},
            "train": {"batch_size": wanted.batch},
            "hardware": {"device": "cpu", "malloc": wanted.malloc},
        }
    )


def compare(wanted: argparse.Namespace) -> dict[str, Any]:
    """Run the settings in turn, and return medians and ratios."""
    cores = hardware.usable_cores()
    count = wanted.processes or cores
    settings = {"one thread": (1, 1), "all cores": (1, cores), "processes": (count, max(1, cores // count))}
    config = recipe(wanted)
    hardware.prepare("cpu", 1)  # the kernels; the threads are set below
    rates: dict[str, list[float]] = {name: [] for name in settings}
    for number in range(wanted.rounds):
        for name, (processes, threads) in settings.items():
            os.environ[THREADS_VARIABLE] = str(threads)
            load = os.getloadavg()[0]
            rates[name].append(pace(config, processes))
            cli.say(f"round {number + 1}: {name:10} {rates[name][-1]:8.1f} images/s (load {load:.1f})")
    median = {name: statistics.median(found) for name, found in rates.items()}
    return {
        "machine": hardware.machine(),
        "workload": {name: getattr(wanted, name) for name in ("model", "batch", "size", "malloc", "rounds")},
        "processes": count,
        "images_per_second": median,
        "times_one_thread": {name: median[name] / median["one thread"] for name in settings},
        "times_all_cores": median["processes"] / median["all cores"],
        "runs": rates,
        "target": TARGET,
    }


def main(wanted: argparse.Namespace) -> cli.Result:
    """Compare, print, and check the ratio where that is asked for."""
    result = compare(wanted)
    print(json.dumps(result, indent=1))
    ratio = result["times_one_thread"]["processes"]
    if wanted.check and ratio < TARGET:
        raise CheckFailedError(
            f"expected {TARGET} times the throughput of one process with one thread, found {ratio:.2f}", result
        )
    return result


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser(__doc__ or "")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--model", default="cifar_resnet20", help="a name from tools/zoo.py")
    parser.add_argument("--batch", type=int, default=128, help="images a step, in all processes together")
    parser.add_argument("--size", type=int, default=32, help="height and width of the images")
    parser.add_argument("--processes", type=int, metavar="N", help="default: one for each core")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each setting (default: 3)")
    parser.add_argument("--malloc", choices=("default", "tuned"), default="default", help="as hardware.malloc")
    parser.add_argument("--check", action="store_true", help=f"fail below {TARGET} times one process with one thread")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
