"""In a group of processes the first one alone is watched, and the run is the same."""

from pathlib import Path

import pytest
import watched_worker
from process_group import run_group
from watched_run import metric_names, same_run


@pytest.mark.slow
def test_only_the_first_process_writes_and_the_run_is_the_same(tmp_path: Path) -> None:
    mine = [tmp_path / "first", tmp_path / "second"]
    for folder in mine:
        folder.mkdir()
    run_group(Path(watched_worker.__file__), [[tmp_path, folder] for folder in mine])
    same_run(tmp_path / "watched", tmp_path / "plain")
    told = metric_names((mine[0] / "run.prom").read_text())
    assert {"ppresnet_gradient_norm", "ppresnet_dead_relus", "ppresnet_eval_top1"} <= told
    assert list(mine[1].iterdir()) == []
    assert len(list((tmp_path / "watched" / "visualdl").glob("vdlrecords*"))) == 1
