"""Kill training over and over, resume it, and compare with a run that nobody touched.

    python tools/bench/kills.py --kills 300 --workers 0

At least half of the kills are aimed inside a save: the staging folder of a checkpoint is seen, and the process is
killed while it is there. In the end the weights, the optimiser state, the progress and metrics.jsonl must be
byte-identical to those of the uninterrupted run.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ppresnet import cli
from ppresnet.errors import CheckFailedError

ROOT = Path(__file__).resolve().parents[2]
COMPARED = ("weights.safetensors", "optimizer.safetensors", "progress.json", "spec.json")
SETTINGS = (
    "train.batch_size=32",
    "model.dropout=0.1",
    "model.drop_path=0.1",
    "data.augment=[{name: random_crop, padding: 1}]",
    "checkpoint.every_steps=2",
    "log.every=3",
    "log.visualdl=false",
)


@dataclass
class Tally:
    """Kills delivered, and how many of them fell inside a save."""

    kills: int = 0
    inside_save: int = 0


def command(output: Path, workers: int, kills: int) -> list[str]:
    """Return the command line that trains or resumes the run, which is longer the more kills it has to last for."""
    settings = (*SETTINGS, f"data.workers={workers}", f"train.epochs={12 + kills // 5}")
    overrides = [part for setting in settings for part in ("-o", setting)]
    recipe = ROOT / "configs" / "digits" / "resnet20.yaml"
    return [
        sys.executable,
        str(ROOT / "tools" / "train.py"),
        "-c",
        str(recipe),
        "--output",
        str(output),
        "--resume",
        *overrides,
    ]


def train(output: Path, workers: int, kills: int) -> None:
    """Train to the end.

    Raises:
        CheckFailedError: the command did not succeed.
    """
    done = subprocess.run(  # noqa: S603
        command(output, workers, kills), env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CheckFailedError(f"training ended with exit code {done.returncode}:\n{done.stderr[-2000:]}")


def kill_often(output: Path, workers: int, kills: int, seed: int) -> Tally:
    """Start and kill the run `kills` times, and more often until half of the kills fell inside a save.

    While they are not the half, a kill is aimed inside a save; otherwise it comes at a random time.
    """
    rng = random.Random(seed)  # noqa: S311 - which moments, not secrets
    tally = Tally()
    while tally.kills < kills or 2 * tally.inside_save < tally.kills:
        aim_at_save = tally.inside_save <= tally.kills - tally.inside_save
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(  # noqa: S603
                command(output, workers, kills), env=environment(), stderr=log, stdout=log
            )
            if aim_at_save:
                _wait_for_save(process, output / "checkpoints", saves=rng.randint(1, 4))
                time.sleep(rng.uniform(0.0, 0.003))
            else:
                _wait(process, rng.uniform(0.0, 4.0))
            process.send_signal(signal.SIGKILL)
            code = process.wait()
            if code not in (-signal.SIGKILL, 0):
                log.seek(0)
                raise CheckFailedError(f"exit code {code} after {tally.kills} kills:\n{log.read().decode()[-2000:]}")
        if code == 0:
            raise CheckFailedError(f"the run ended after {tally.kills} of {kills} kills; give it more epochs")
        tally.kills += 1
        tally.inside_save += bool(_staging(output / "checkpoints"))
    return tally


def differences(ours: Path, theirs: Path) -> list[str]:
    """Return the files of the last checkpoints and the metrics that are not byte-identical."""
    last, reference = (sorted((run / "checkpoints").glob("step-*"))[-1] for run in (ours, theirs))
    pairs = [(last / name, reference / name) for name in COMPARED]
    pairs.append((ours / "metrics.jsonl", theirs / "metrics.jsonl"))
    wrong = [left.name for left, right in pairs if left.read_bytes() != right.read_bytes()]
    return wrong if last.name == reference.name else [f"{last.name} is not {reference.name}", *wrong]


def environment() -> dict[str, str]:
    """Return an environment in which nothing is left for the hardware probe to measure."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_DEBUG_CPU_TYPE": os.environ.get("MKL_DEBUG_CPU_TYPE", "5")}


def _wait_for_save(process: subprocess.Popen[bytes], folder: Path, saves: int) -> None:
    seen: set[Path] = set()
    before = set(_staging(folder))  # left by the previous kill
    while process.poll() is None and len(seen) < saves:
        seen |= set(_staging(folder)) - before
        time.sleep(0.0005)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


def _staging(folder: Path) -> list[Path]:
    return list(folder.glob(".step-*.staging-*"))


def main(arguments: argparse.Namespace) -> cli.Result:
    """Run both trainings and compare them."""
    with tempfile.TemporaryDirectory() as scratch:
        reference, killed = Path(scratch) / "reference", Path(scratch) / "killed"
        train(reference, 0, arguments.kills)
        started = time.monotonic()
        tally = kill_often(killed, arguments.workers, arguments.kills, arguments.seed)
        train(killed, arguments.workers, arguments.kills)
        wrong = differences(killed, reference)
        seconds = time.monotonic() - started
    print(f"{tally.kills} kills, {tally.inside_save} inside a save, {arguments.workers} workers, {seconds:.0f} s")
    if wrong:
        raise CheckFailedError(f"not byte-identical to the uninterrupted run: {', '.join(wrong)}")
    if 2 * tally.inside_save < tally.kills:
        raise CheckFailedError(f"only {tally.inside_save} of {tally.kills} kills fell inside a save")
    print("weights, optimiser, progress and metrics are byte-identical to the uninterrupted run's")
    return {"kills": tally.kills, "inside_save": tally.inside_save, "workers": arguments.workers, "identical": True}


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser(__doc__ or "")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
