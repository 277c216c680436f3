"""Trainings for a comparison: in order, side by side, and none twice."""

from pathlib import Path

import pytest
from bench.runs import Training, results

from ppresnet.errors import ProcessError
from tests.tools.conftest import ROOT

SHORT = ["train.epochs=1", "log.visualdl=false", "hardware.threads=1"]


def test_finished_trainings_are_not_repeated(tmp_path: Path) -> None:
    recipe = ROOT / "configs" / "digits" / "resnet20.yaml"
    both = [Training(recipe, tmp_path / f"seed{seed}", [*SHORT, f"seed={seed}"]) for seed in (1, 2)]
    first = results(both, jobs=2)
    assert first[0]["top1"] != first[1]["top1"]
    assert [one["checkpoint"].split("/")[-3] for one in first] == ["seed1", "seed2"]
    weights = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("weights.safetensors")}
    again = results(both, jobs=1)
    assert [one["top1"] for one in again] == [one["top1"] for one in first]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("weights.safetensors")} == weights


def test_a_failed_training_ends_the_comparison(tmp_path: Path) -> None:
    missing = Training(tmp_path / "missing.yaml", tmp_path / "run", [])
    with pytest.raises(ProcessError, match="ended with 2") as raised:
        results([missing], jobs=1)
    assert raised.value.exit_code == 2
