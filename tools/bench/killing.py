"""Training that is killed at chosen moments: inside a save, between two steps, or while it starts."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from ppresnet.errors import CheckFailedError

ROOT = Path(__file__).resolve().parents[2]
PLAIN = (
    "train.batch_size=32",
    "model.dropout=0.1",
    "model.drop_path=0.1",
    "data.augment=[{name: random_crop, padding: 1}]",
    "checkpoint.every_steps=2",
    "log.every=3",
    "log.visualdl=false",
)
EVERYTHING = (
    *PLAIN,
    "data.augment=[{name: random_crop, padding: 1}, {name: rand_augment}, {name: auto_augment, policy: cifar10}, "
    "{name: random_erasing}, {name: cutout, length: 2}]",
    *("train.batch_size=16", "train.accumulate=2", "train.mixup=0.2", "train.cutmix=1.0", "train.label_smoothing=0.1"),
    *("train.start_size=4", "train.grow_epochs=3", "train.patience=1000", "ema.decay=0.9", "guard.spike=50.0"),
    *("optim.clip_norm=1.0", "optim.layer_decay=0.9", "amp.level=O1", "amp.dtype=bfloat16", "recompute.every=2"),
    *("sparsity.bn=1.0e-4", "sparsity.group_lasso=1.0e-4", "distill.maps=1.0"),
)


@dataclass(frozen=True)
class Training:
    """A run on the digits that is started again and again.

    Attributes:
        settings: overrides of the recipe.
        epochs: enough of them, so that the run outlasts the kills.
        workers: loader processes of the first start, the second and so on, in turn.
    """

    settings: Sequence[str]
    epochs: int
    workers: Sequence[int] = (0,)

    def command(self, output: Path, start: int = 0, *more: str) -> list[str]:
        """Return the command line that trains or resumes the run, for the start of this number; `more` overrides."""
        (workers,) = islice(cycle(self.workers), start, start + 1)
        settings = (*self.settings, f"data.workers={workers}", f"train.epochs={self.epochs}", *more)
        overrides = [part for setting in settings for part in ("-o", setting)]
        program, recipe = ROOT / "tools" / "train.py", ROOT / "configs" / "digits" / "resnet20.yaml"
        return [sys.executable, str(program), "-c", str(recipe), "--output", str(output), "--resume", *overrides]

    def to_the_end(self, output: Path) -> None:
        """Train to the end, saved no more often than once an epoch, since nobody will kill it.

        Raises:
            CheckFailedError: the command did not succeed.
        """
        done = subprocess.run(  # noqa: S603
            self.command(output, 0, "checkpoint.every_steps=null"),
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CheckFailedError(f"training ended with exit code {done.returncode}:\n{done.stderr[-2000:]}")


@dataclass
class Tally:
    """Kills delivered, how many of them fell inside a save, and how many were SIGTERM."""

    kills: int = 0
    inside_save: int = 0
    terminated: int = 0


def kill_often(training: Training, output: Path, kills: int, seed: int) -> Tally:
    """Start and kill the run `kills` times, and more often until half of the kills fell inside a save.

    The second one is a SIGTERM at a random time after the start, or after a save. While those inside a save are not the
    half, the others are SIGKILLs aimed there; otherwise a SIGKILL or SIGTERM comes at a random time.

    Raises:
        CheckFailedError: a run ended otherwise than by the kill.
    """
    rng = random.Random(seed)  # noqa: S311 - which moments, not secrets
    tally = Tally()
    while tally.kills < kills or 2 * tally.inside_save < tally.kills:
        second = tally.kills == 1  # or, where the aim is often missed, a few kills would have no SIGTERM among them
        aim_at_save = not second and tally.inside_save <= tally.kills - tally.inside_save
        others = (signal.SIGTERM,) if second else (signal.SIGKILL, signal.SIGTERM)
        number = signal.SIGKILL if aim_at_save else rng.choice(others)
        before = set(_staging(output / "checkpoints"))  # left by earlier kills
        with tempfile.TemporaryFile() as log:
            command = training.command(output, tally.kills)
            process = subprocess.Popen(command, env=environment(), stderr=log, stdout=log)  # noqa: S603
            _wait_for_moment(process, output / "checkpoints", rng, aim_at_save)
            process.send_signal(number)
            code = process.wait()
            log.seek(0)
            _expect_killed(code, number, log.read().decode(), tally)
        tally.kills += 1
        tally.inside_save += bool(set(_staging(output / "checkpoints")) - before)
        tally.terminated += number == signal.SIGTERM
    return tally


def environment() -> dict[str, str]:
    """Return an environment in which nothing is left for the hardware probe to measure."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_DEBUG_CPU_TYPE": os.environ.get("MKL_DEBUG_CPU_TYPE", "5")}


def _wait_for_moment(process: subprocess.Popen[bytes], folder: Path, rng: random.Random, aim_at_save: bool) -> None:
    if not aim_at_save and rng.random() < 0.5:
        _wait(process, rng.uniform(0.0, 4.0))
        return
    _wait_for_save(process, folder, saves=rng.randint(1, 4))
    _wait(process, rng.uniform(0.0, 0.003 if aim_at_save else 1.0))


def _expect_killed(code: int, number: signal.Signals, text: str, tally: Tally) -> None:
    saved = number == signal.SIGTERM and code == 1 and "stopped by SIGTERM" in text
    if code == 0:
        raise CheckFailedError(f"the run ended after {tally.kills} kills; give it more epochs")
    if code != -number and not saved:
        raise CheckFailedError(f"exit code {code} after {tally.kills} kills:\n{text[-2000:]}")


def _wait_for_save(process: subprocess.Popen[bytes], folder: Path, saves: int) -> None:
    seen: set[Path] = set()
    before = set(_staging(folder))  # left by the previous kill
    while process.poll() is None and len(seen) < saves:
        seen |= set(_staging(folder)) - before
        time.sleep(0.0005)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(min(seconds, 0.005))


def _staging(folder: Path) -> list[Path]:
    return list(folder.glob(".step-*.staging-*"))
