"""SIGKILL at random moments of training, half of them inside a save; the resumed run must not differ in one byte."""

from pathlib import Path

import pytest

from tools.bench.kills import differences, kill_often, train

KILLS = 15


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("uninterrupted")
    train(output, 0, KILLS)
    return output


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_is_killed_thirty_times_ends_byte_identical(workers: int, reference: Path, tmp_path: Path) -> None:
    tally = kill_often(tmp_path / "run", workers, kills=KILLS, seed=workers)
    train(tmp_path / "run", workers, KILLS)
    assert differences(tmp_path / "run", reference) == []
    assert tally.inside_save * 2 >= tally.kills
