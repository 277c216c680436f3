"""Trainings that a comparison needs: finished ones stay, and one that was stopped goes on."""

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppresnet.errors import ProcessError

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Training:
    """A recipe, the folder of its run, and what overrides its keys."""

    recipe: Path
    output: Path
    overrides: Sequence[str]

    def result(self) -> dict[str, Any]:
        """Train, or go on where it was stopped, and return result.json.

        Raises:
            ProcessError: the training failed; it has said why.
        """
        program = ROOT / "tools" / "train.py"
        command = [sys.executable, program, "-c", self.recipe, "--output", self.output, "--resume", "-o"]
        done = subprocess.run([*map(str, command), *self.overrides], check=False)  # noqa: S603
        if done.returncode:
            raise ProcessError(f"{self.output}: the training ended with {done.returncode}; see above", done.returncode)
        found: dict[str, Any] = json.loads((self.output / "result.json").read_bytes())
        return found


def results(trainings: Sequence[Training], jobs: int) -> list[dict[str, Any]]:
    """Return the results of trainings, of which so many run at a time; each should have its share of the cores.

    Raises:
        ProcessError: one failed; those that run are waited for.
    """
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(Training.result, trainings))
