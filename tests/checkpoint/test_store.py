import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppresnet import files
from ppresnet.checkpoint import Checkpoint, Store, read, resolve
from ppresnet.errors import CheckpointError


def checkpoint(step: int, **progress: Any) -> Checkpoint:
    weights = {"conv.w": np.random.default_rng(step).normal(size=(4, 3)), "bn.n": np.array(step)}
    return Checkpoint(weights, {"conv.w_velocity": np.ones(3)}, {}, {"name": "x"}, {}, {"step": step, **progress})


def assert_equal(one: Checkpoint, other: Checkpoint) -> None:
    for kind in ("weights", "optimizer", "ema"):
        left, right = getattr(one, kind), getattr(other, kind)
        assert left.keys() == right.keys()
        assert all(left[name].tobytes() == right[name].tobytes() for name in left)
    assert (one.spec, one.config, one.progress) == (other.spec, other.config, other.progress)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "run" / "checkpoints", keep=2)


def fill(store: Store, *steps: int, **progress: Any) -> None:
    for step in steps:
        store.save(checkpoint(step, **progress), step)


def flip(folder: Path, name: str = "weights.safetensors") -> None:
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)


def numbers(store: Store) -> list[int]:
    return [int(path.name.removeprefix("step-")) for path in store.steps()]


def test_saved_is_read_back(store: Store) -> None:
    path = store.save(checkpoint(123), 123)
    assert path == store.directory / "step-00000123"
    assert_equal(read(path), checkpoint(123))
    assert sorted(entry.name for entry in path.iterdir()) == [
        "config.json", "manifest.json", "optimizer.safetensors", "progress.json", "spec.json", "weights.safetensors",
    ]  # fmt: skip


def test_another_process_writes_the_same_bytes(store: Store, tmp_path: Path) -> None:
    here = store.save(checkpoint(7), 7)
    code = "import sys; from test_store import Store, checkpoint; Store(sys.argv[1]).save(checkpoint(7), 7)"
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, "PYTHONHASHSEED": "123", "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "other")], check=True, env=environment)
    there = tmp_path / "other" / here.name
    assert {p.name: p.read_bytes() for p in here.iterdir()} == {p.name: p.read_bytes() for p in there.iterdir()}


def test_steps_sort_as_numbers(store: Store) -> None:
    fill(store, 99_999_999, 100_000_000, 5)
    assert numbers(store) == [100_000_000, 99_999_999, 5]


def test_latest_is_the_newest_that_verifies_and_says_what_it_refused(store: Store) -> None:
    said: list[str] = []
    assert store.latest(said.append) is None
    fill(store, 1, 2, 3, 4)
    flip(store.path(4))
    (store.path(3) / "spec.json").unlink()
    assert store.latest(said.append) == store.path(2)
    assert len(said) == 2
    assert "step-00000004" in said[0]
    assert "weights.safetensors does not match its sha256" in said[0]
    assert "spec.json is missing" in said[1]


def test_latest_warns_when_nobody_listens(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    fill(store, 1)
    flip(store.path(1))
    assert store.latest() is None
    assert "step-00000001 refused" in caplog.text


def test_saving_the_same_step_again_keeps_equal_content(store: Store) -> None:
    before = store.save(checkpoint(1), 1).stat().st_ino
    assert store.save(checkpoint(1), 1).stat().st_ino == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: None,
        flip,
        lambda path: (path / "manifest.json").unlink(),
        lambda path: (path / "notes").write_text("x"),
    ],
)
def test_saving_the_same_step_again_replaces_other_content(store: Store, damage: Any) -> None:
    fill(store, 1)
    damage(store.path(1))
    new = checkpoint(1, changed=True)
    assert_equal(read(store.save(new, 1)), new)
    assert [path.name for path in store.directory.iterdir()] == ["step-00000001"]


def test_save_clears_what_a_killed_save_left(store: Store) -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    leftover = store.directory / f".step-00000001.staging-{process.pid}-0123abcd"
    leftover.mkdir(parents=True)
    fill(store, 2)
    assert not leftover.exists()


def test_prune_keeps_the_newest_and_the_best(store: Store) -> None:
    fill(store, 1, 2, 3, 4, 5)
    removed = store.prune(best=store.path(2))
    assert sorted(removed) == [store.path(1), store.path(3)]
    assert numbers(store) == [5, 4, 2]


def test_prune_counts_only_what_verifies(store: Store) -> None:
    fill(store, 1, 2, 3, 4)
    flip(store.path(3))
    store.prune()
    assert numbers(store) == [4, 2]


def test_prune_deletes_nothing_while_the_newest_is_broken(store: Store) -> None:
    fill(store, 1, 2, 3, 4)
    flip(store.path(4))
    assert store.prune() == []
    assert numbers(store) == [4, 3, 2, 1]


def test_prune_of_nothing(store: Store) -> None:
    assert store.prune() == []


def test_resolve_takes_a_step_a_checkpoints_and_a_run_folder(store: Store) -> None:
    fill(store, 1, 2)
    run = store.directory.parent
    assert resolve(store.path(1)) == store.path(1)
    assert resolve(store.directory) == store.path(2)
    assert resolve(str(run)) == store.path(2)
    moved = store.path(1).rename(run / "favourite")
    assert resolve(moved) == moved


def test_resolve_prefers_the_recorded_best(store: Store) -> None:
    fill(store, 1, 2, 3, best={"step": 2, "top1": 91.5})
    assert resolve(store.directory) == store.path(2)


@pytest.mark.parametrize("best", [None, 2, {}, {"step": None}, {"step": "../.."}, {"step": 3}])
def test_resolve_without_a_usable_best_takes_the_newest(store: Store, best: object) -> None:
    fill(store, 2, 3, best=best)
    assert resolve(store.directory, pytest.fail) == store.path(3)


def test_resolve_says_when_the_best_or_the_newest_is_refused(store: Store) -> None:
    fill(store, 1, 2, 3, best={"step": 1})
    flip(store.path(1))
    flip(store.path(3))
    said: list[str] = []
    assert resolve(store.directory, said.append) == store.path(2)
    assert "step-00000003 refused" in said[0]
    assert "best checkpoint step-00000001 refused, step-00000002 used instead" in said[1]


def test_resolve_errors_name_the_remedy(store: Store, tmp_path: Path) -> None:
    fill(store, 1)
    with pytest.raises(CheckpointError, match=r"did you mean .*run/checkpoints\?"):
        resolve(store.directory.with_name("checkpoint"))
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*nowhere"):
        resolve(tmp_path / "nowhere" / "at" / "all")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="holds no checkpoint; expected a step folder"):
        resolve(tmp_path / "empty")
    flip(store.path(1))
    for path in (store.path(1), store.directory):
        with pytest.raises(CheckpointError, match="does not match its sha256"):
            resolve(path)


@pytest.mark.parametrize("open_it", [read, resolve])
def test_a_foreign_file_is_told_what_was_expected(tmp_path: Path, open_it: Any) -> None:
    (tmp_path / "model.pdparams").write_bytes(b"\x80\x04.")
    with pytest.raises(CheckpointError, match=r"is a file; expected a step folder.*tools/convert\.py"):
        open_it(tmp_path / "model.pdparams")


@pytest.mark.parametrize("open_it", [read, resolve])
def test_a_verified_folder_that_is_no_checkpoint_is_refused(tmp_path: Path, open_it: Any) -> None:
    with files.staged_directory(tmp_path / "bundle") as folder:
        (folder / "deploy.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"is no checkpoint: it has no config\.json"):
        open_it(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("masks.safetensors", b"x", r"masks\.safetensors, which this version does not know"),
        ("weights.safetensors", b"\x80\x04.", "verifies but cannot be understood"),
    ],
    ids=["a file of a later version", "nonsense"],
)
def test_what_verifies_but_is_not_ours_is_refused(
    store: Store, tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    contents = files.read_verified(store.save(checkpoint(1), 1))
    with files.staged_directory(tmp_path / "verified") as folder:
        for each, held in {**contents, name: data}.items():
            (folder / each).write_bytes(held)
    with pytest.raises(CheckpointError, match=message):
        read(tmp_path / "verified")


def test_bad_numbers_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="step is -1"):
        store.save(checkpoint(1), -1)
    with pytest.raises(ValueError, match="keep is 0"):
        Store(store.directory, keep=0)
