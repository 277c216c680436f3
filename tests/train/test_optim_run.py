"""What `optim` says reaches the weights of a run."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from machine import MACHINE

from ppresnet.checkpoint import read
from ppresnet.config import from_dict
from ppresnet.errors import ConfigError
from ppresnet.train.journal import read_records
from ppresnet.train.run import RunResult, train


def run(folder: Path, lines: list[str] | None = None, **optim: Any) -> RunResult:
    plain = {"lr": 0.5, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
    values = {"optim": plain | optim, "train": {"epochs": 1, "batch_size": 512}, "log": {"every": 1, "visualdl": False}}
    config = from_dict({**values, "schedule": {"name": "constant", "warmup_epochs": 0.0}})
    return train(config, folder, MACHINE, report=(lines if lines is not None else []).append)


def trained(result: RunResult) -> dict[str, np.ndarray]:
    weights = read(result.last).weights
    return {name: array for name, array in weights.items() if not name.endswith(("_mean", "_variance"))}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """The weights before the first step, but for rounding."""
    return trained(run(tmp_path_factory.mktemp("start"), lr=1e-12))


def moves(result: RunResult, start: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: float(np.linalg.norm(array - start[name])) for name, array in trained(result).items()}


def test_a_step_is_no_longer_than_the_clipped_gradient(start: dict[str, np.ndarray], tmp_path: Path) -> None:
    far = moves(run(tmp_path / "free"), start)
    near = moves(run(tmp_path / "clipped", clip_norm=0.01), start)
    assert math.hypot(*near.values()) <= 2 * 0.5 * 0.01 * 1.001  # two steps
    assert math.hypot(*near.values()) < math.hypot(*far.values()) / 10


def test_a_rule_slows_what_it_matches(start: dict[str, np.ndarray], tmp_path: Path) -> None:
    rules = [{"match": "*", "lr": 1e-12}, {"match": "stages.1"}]
    for name, moved in moves(run(tmp_path, groups=rules), start).items():
        assert (moved > 1e-4) is name.startswith("stages.1."), name


def test_a_rule_that_matches_nothing_ends_the_run_before_it_leaves_anything(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'stage\.1' matches no parameter; did you mean 'stages\.1'\?"):
        run(tmp_path, groups=[{"match": "stage.1"}])
    assert not (tmp_path / "config.yaml").exists()


def test_the_rate_follows_the_images_of_a_step_and_is_told_once(tmp_path: Path) -> None:
    lines: list[str] = []
    run(tmp_path, lines, lr_batch=128)
    assert [line for line in lines if "optim.lr_batch" in line] == [
        "optim.lr: 0.5 for steps of 128 images (optim.lr_batch) is 2 for those of this recipe, 512 images (512 x 1), "
        "however many processes share them"
    ]
    rates = {record["lr"] for record in read_records(tmp_path / "metrics.jsonl") if record["kind"] == "train"}
    assert rates == {2.0}
