"""Kills at random moments of training, half of them inside a save; the resumed run must not differ in one byte."""

import dataclasses
from pathlib import Path

import pytest

from tools.bench.kills import differences, everything, kill_often, plain

LONGEST = 22  # kills that a run lasts for


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("uninterrupted")
    plain(LONGEST, workers=0).to_the_end(output)
    return output


@pytest.mark.parametrize(
    ("workers", "kills"),
    [(0, LONGEST), pytest.param(2, 8, marks=pytest.mark.slow)],  # a start with workers takes long
)
def test_a_run_that_is_killed_often_ends_byte_identical(
    workers: int, kills: int, reference: Path, tmp_path: Path
) -> None:
    training = plain(LONGEST, workers)
    tally = kill_often(training, tmp_path / "run", kills, seed=workers)
    training.to_the_end(tmp_path / "run")
    assert differences(tmp_path / "run", reference) == []
    assert tally.inside_save * 2 >= tally.kills


@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=pytest.mark.slow(drawn=False))])
def test_with_every_regulariser_on_kills_change_nothing(kills: int, tmp_path: Path) -> None:
    training = everything(kills, tmp_path)
    dataclasses.replace(training, workers=(0,)).to_the_end(tmp_path / "reference")
    tally = kill_often(training, tmp_path / "run", kills, seed=1)
    training.to_the_end(tmp_path / "run")
    assert differences(tmp_path / "run", tmp_path / "reference") == []
    assert tally.kills >= kills and tally.terminated
