"""A short run that is watched in every way, with a double of the client of Weights & Biases: nothing may go out."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppresnet.config import RunConfig, from_dict

BASE: dict[str, Any] = {  # two steps of two batches each, with all that makes hooks hard
    "name": "watched",
    "train": {"epochs": 1, "batch_size": 384, "accumulate": 2},
    "model": {"dropout": 0.1, "drop_path": 0.1},
    "schedule": {"warmup_epochs": 0.5},
    "amp": {"level": "O1", "dtype": "bfloat16"},
    "recompute": {"every": 2},
    "ema": {"decay": 0.9},
}
CLIENT = """
import json
from pathlib import Path

CALLS = Path(__file__).with_name("calls")


def _note(**call):
    with CALLS.open("a") as file:
        file.write(json.dumps(call) + "\\n")


class Run:
    def define_metric(self, name, step_metric):
        _note(define_metric=[name, step_metric])

    def log(self, numbers):
        _note(log=numbers)

    def finish(self):
        _note(finish=True)


def init(**options):
    _note(init=options)
    return Run()
"""


def recipe(log: dict[str, Any], **sections: Any) -> RunConfig:
    return from_dict({**BASE, **sections, "log": {"every": 1, "visualdl": False, **log}})


def same_run(ours: Path, theirs: Path) -> None:
    assert (ours / "metrics.jsonl").read_bytes() == (theirs / "metrics.jsonl").read_bytes()
    for name in ("weights.safetensors", "optimizer.safetensors", "ema.safetensors", "progress.json"):
        left, right = (next((folder / "checkpoints").glob("step-*")) / name for folder in (ours, theirs))
        assert left.read_bytes() == right.read_bytes(), name


@dataclass(frozen=True)
class Watched:
    """A run that is watched in every way.

    Attributes:
        folder: of the run.
        said: lines for the user.
        answers: of the endpoint, after each step.
        textfile: what stands there after the run.
        calls: of the client of Weights & Biases.
        port: of the endpoint.
    """

    folder: Path
    said: list[str]
    answers: list[str]
    textfile: str
    calls: list[dict[str, Any]]
    port: int


def metric_names(text: str) -> set[str]:
    """Return the names that a text of metrics or of queries mentions."""
    return set(re.findall(r"\bppresnet_\w+", text))
