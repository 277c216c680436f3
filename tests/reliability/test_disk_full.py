"""A write that fails at any point costs nothing that was saved before."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppresnet.checkpoint import Checkpoint, Store
from ppresnet.errors import StorageError
from ppresnet.files import read_verified, remove_stale_staging, staging

ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def checkpoint(value: int, size: int = 64) -> Checkpoint:
    tensors = {"conv.w": np.random.default_rng(value).normal(size=size)}
    return Checkpoint(tensors, tensors, tensors, {"name": "n"}, {}, {"value": value})


class FailingDisk:
    """Lets `good` calls that write pass and then fails: the next one, or all that follow.

    What is written by the failing call is half there, as on a real disk.
    """

    def __init__(self, patch: pytest.MonkeyPatch, good: int, *, stays_full: bool) -> None:
        self.calls, self.good, self.stays_full = 0, good, stays_full
        write, write_bytes = os.write, Path.write_bytes
        self._wrap(patch, os, "write", lambda fd, data: write(fd, data[: len(data) // 2]))
        self._wrap(patch, Path, "write_bytes", lambda path, data: write_bytes(path, data[: len(data) // 2]))
        for owner, name in ((os, "fsync"), (Path, "mkdir"), (Path, "rename")):
            self._wrap(patch, owner, name, lambda *args: None)

    def _wrap(self, patch: pytest.MonkeyPatch, owner: Any, name: str, half: Callable[..., object]) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            number, self.calls = self.calls, self.calls + 1
            if number == self.good or (self.stays_full and number > self.good):
                half(*args)
                code = ERRORS[self.good % len(ERRORS)]
                raise OSError(code, os.strerror(code), str(args[0]))
            return real(*args, **kwargs)

        patch.setattr(owner, name, call)


def writes_of(directory: Path, step: int) -> int:
    """Count the calls that a save makes when none of them fails."""
    with pytest.MonkeyPatch.context() as patch:
        disk = FailingDisk(patch, -1, stays_full=False)
        Store(directory).save(checkpoint(2), step)
    return disk.calls


def snapshot(path: Path) -> dict[str, bytes]:
    return read_verified(path)


@pytest.mark.parametrize("stays_full", [False, True])
@pytest.mark.parametrize(("step", "exchange"), [(2, True), (1, True), (1, False)], ids=["new", "swapped", "renamed"])
def test_every_write_of_a_save_may_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, exchange: bool, stays_full: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(staging, "_exchange", lambda one, other: False)
    store = Store(tmp_path / "tried")
    old = snapshot(store.save(checkpoint(1), 1))
    shutil.copytree(store.directory, tmp_path / "counted")
    total = writes_of(tmp_path / "counted", step)
    new = snapshot(tmp_path / "counted" / store.path(step).name)
    assert total > 15
    for good in range(total):
        with (
            monkeypatch.context() as patch,
            pytest.raises(StorageError, match=r"cannot write .*step-.*; \w+") as caught,
        ):
            FailingDisk(patch, good, stays_full=stays_full)
            store.save(checkpoint(2), step)
        assert isinstance(caught.value.__cause__, OSError)
        if not stays_full:
            assert store.path(1).exists(), "one failed call must be undone at once, not at the next start"
        remove_stale_staging(store.directory)
        assert {path.name for path in store.directory.iterdir()} <= {"step-00000001", store.path(step).name}
        landed = store.path(step).exists() and snapshot(store.path(step)) == new
        # Only the parent's fsync comes after the rename, so only there may the new folder stand, and then whole.
        assert not landed or good >= total - 2
        if not (landed and step == 1):
            assert snapshot(store.path(1)) == old
        if landed:
            shutil.rmtree(store.path(step))
            store.save(checkpoint(1), 1)


SWEEP = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from ppresnet.checkpoint import Checkpoint, Store
from ppresnet.errors import StorageError

tensors = {"conv.w": np.arange(1000.0)}
store = Store(sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in range(1, 8000, 160):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        store.save(Checkpoint(tensors, tensors, {}, {"name": "n"}, {}, {"limit": limit}), 2)
    except StorageError as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        left = sorted(path.name for path in Path(sys.argv[1]).iterdir())
        print(left == ["step-00000001"], "File too large (EFBIG)" in str(error) and "ulimit" in str(error))
"""


def test_fifty_writes_that_the_kernel_cuts_short(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old = snapshot(store.save(checkpoint(1), 1))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", SWEEP, str(tmp_path)], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.splitlines() == ["True True"] * 50
    assert store.latest(pytest.fail) == store.path(1)
    assert snapshot(store.path(1)) == old


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() or mount is None or unmount is None:
        pytest.skip("mounting a small file system needs root")
    command = [mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow mounting")
    yield folder
    subprocess.run([unmount, str(folder)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    store = Store(small_disk / "checkpoints", keep=1)
    saved = {}
    with pytest.raises(StorageError, match=r"No space left on device \(ENOSPC\).*free some space"):
        for step in range(1, 20):
            saved[step] = snapshot(store.save(checkpoint(step, size=2000), step))
    assert len(saved) > 1
    assert [snapshot(path) for path in reversed(store.steps())] == list(saved.values())
    assert len(list(store.directory.iterdir())) == len(saved)
    store.prune()
    store.save(checkpoint(99, size=2000), 99)
    assert store.latest(pytest.fail) == store.path(99)
