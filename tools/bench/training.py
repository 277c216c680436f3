"""Time training steps on oneDNN's kernels, on stock Paddle, and on PyTorch where there is one.

Every run is a fresh process, and all settings take turns, round by round; the first two steps of a run are not counted.
`cores` says how many cores a run really had: where it is well below the threads, others were using the machine and the
numbers mean little. Ratios are taken within each round, since the speed of a machine may change from one to the next.
It is there to check that oneDNN is at least 4 times stock Paddle on `resnet50` and 3.5 times on `cifar_resnet20`, 1.2
times the faster PyTorch in float32, and 0.7 times that in bfloat16.

    python tools/bench/training.py --torch-python OTHER_VENV/bin/python --json FILE
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ppresnet import cli, hardware
from ppresnet.errors import CheckFailedError, RequestError
from ppresnet.hardware import MKL_VARIABLE, THREADS_VARIABLE

WORKLOADS = {"cifar_resnet20": (128, 32, 20), "resnet50": (16, 224, 6)}  # batch, size, steps
PADDLE = ("stock", "chosen", "onednn", "onednn_malloc", "onednn_bf16", "onednn_bf16_malloc")
PYTORCH = tuple(f"torch_{layout}_{compute}" for compute in ("fp32", "bf16") for layout in ("nchw", "channels_last"))
WARM_UP = 2
# Model: least ratio to stock Paddle; then the least ratios to the faster layout of PyTorch, by compute type.
TIMES_STOCK = {"cifar_resnet20": 3.5, "resnet50": 4.0}
TIMES_PYTORCH = {"fp32": 1.2, "bf16": 0.7}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser(__doc__ or "")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--model", choices=WORKLOADS, action="append", help="may be repeated (default: all)")
    parser.add_argument("--only", choices=(*PADDLE, *PYTORCH), action="append", help="settings; may be repeated")
    parser.add_argument("--steps", type=int, metavar="N", help="steps of one run, the two of warm-up included")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each setting (default: 3)")
    parser.add_argument("--torch-python", metavar="PATH", default=sys.executable, help="a Python that has PyTorch")
    wanted = parser.parse_args(given)
    if wanted.rounds < 1 or (wanted.steps is not None and wanted.steps <= WARM_UP):
        parser.error(f"expected at least 1 round and {WARM_UP + 1} steps")
    return wanted


def has_pytorch(python: str) -> bool:
    """Return whether that interpreter can import PyTorch."""
    try:
        return subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode == 0  # noqa: S603
    except OSError as error:
        raise RequestError(f"--torch-python: {python} cannot be started: {error}") from error


def run(setting: str, model: str, steps: int | None, python: str) -> dict[str, Any]:
    """Run once in a process of its own, without what the environment says about kernels, threads and memory."""
    batch, size, usual = WORKLOADS[model]
    workload = [model, str(batch), str(size), str(steps or usual)]
    left_out = {MKL_VARIABLE, THREADS_VARIABLE, "GLIBC_TUNABLES"}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    if setting in PYTORCH:
        library, layout, compute = setting.split("_")[0], setting.split("_", 1)[1].rsplit("_", 1)[0], setting[-4:]
        command = [python, "training_pytorch.py", library, layout, compute]
    else:
        command = [sys.executable, "training_run.py", setting]
    command[1] = str(Path(__file__).with_name(command[1]))
    done = subprocess.run([*command, *workload], env=environment, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RequestError(f"the {setting} run ended with exit code {done.returncode}; its message stands above")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def rows(runs: dict[str, list[dict[str, Any]]], model: str) -> list[dict[str, Any]]:
    """Return one row a setting: medians over all counted steps, and over the rounds of the ratios within each."""
    batch = WORKLOADS[model][0]
    speed = {s: batch / statistics.median(t for r in of for t in r["seconds"][WARM_UP:]) for s, of in runs.items()}
    of_rounds: dict[str, list[float]] = {
        s: [statistics.median(r["seconds"][WARM_UP:]) for r in of] for s, of in runs.items()
    }
    fastest = {
        compute: max((s for s in speed if s in PYTORCH and s.endswith(compute)), key=speed.__getitem__, default="none")
        for compute in TIMES_PYTORCH
    }

    def ratio(setting: str, other: str) -> float | None:
        if other not in of_rounds:
            return None
        return statistics.median(b / a for a, b in zip(of_rounds[setting], of_rounds[other], strict=True))

    found = []
    for setting, of in runs.items():
        compute = "bf16" if "bf16" in setting else "fp32"
        found.append({
            "model": model,
            "setting": setting,
            "images_per_second": speed[setting],
            "times_stock": ratio(setting, "stock"),
            "times_pytorch": ratio(setting, fastest[compute]),
            "peak_memory_mb": max(r["peak_memory_mb"] for r in of),
            "cores": statistics.mean(c for r in of for c in r["cores"][WARM_UP:]),
            "load": statistics.mean(r["load"] for r in of),
            "parameters": of[0]["parameters"],
            "used": of[0]["used"],
        })  # fmt: skip
    return found


def judge(found: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for every ratio that is too small; the better of the two malloc settings counts."""
    problems = []
    for model in {row["model"] for row in found}:
        for compute, least in TIMES_PYTORCH.items():
            ours = [r for r in found if r["model"] == model and r["setting"].startswith("onednn")]
            ours = [r for r in ours if ("bf16" in r["setting"]) == (compute == "bf16")]
            wanted = {"times_pytorch": least} | ({"times_stock": TIMES_STOCK[model]} if compute == "fp32" else {})
            for name, limit in wanted.items():
                best = max((r[name] for r in ours if r[name] is not None), default=None)
                if best is not None and best < limit:
                    problems.append(f"{model}, {compute}: {name} is {best:.2f}, expected {limit} or more")
    return sorted(problems)


def show(found: list[dict[str, Any]]) -> None:
    """Print the table."""
    print(f"{hardware.machine()}\n{'':38}images/s  x stock  x PyTorch  peak MB  cores  load")
    for row in found:
        ratios = [f"{row[name]:.2f}" if row[name] else "-" for name in ("times_stock", "times_pytorch")]
        print(
            f"{row['model']:16}{row['setting']:22}{row['images_per_second']:8.1f}{ratios[0]:>9}{ratios[1]:>11}"
            f"{row['peak_memory_mb']:9.0f}{row['cores']:7.2f}{row['load']:6.1f}   {row['used']}"
        )


def main(wanted: argparse.Namespace) -> cli.Result:
    """Run everything in turn, print the table, and return it with every run."""
    settings = wanted.only or [*PADDLE, *PYTORCH]
    if any(s in PYTORCH for s in settings) and not has_pytorch(wanted.torch_python):
        cli.say(f"{wanted.torch_python} has no PyTorch; name one that has with --torch-python")
        settings = [s for s in settings if s not in PYTORCH]
    found: list[dict[str, Any]] = []
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for model in wanted.model or WORKLOADS:
        runs[model] = {setting: [] for setting in settings}
        for number in range(wanted.rounds):
            for setting in settings:
                one = run(setting, model, wanted.steps, wanted.torch_python)
                median = statistics.median(one["seconds"][WARM_UP:])
                cli.say(f"round {number + 1}: {model} {setting} {WORKLOADS[model][0] / median:.1f} images/s")
                runs[model][setting].append(one)
        found += rows(runs[model], model)
    show(found)
    problems = judge(found)
    result = {"machine": hardware.machine(), "rows": found, "problems": problems, "runs": runs}
    if problems:
        raise CheckFailedError("\n".join(problems), result)
    return result


if __name__ == "__main__":
    sys.exit(cli.run(main, arguments()))
