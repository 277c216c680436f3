import os
import subprocess
import sys
from pathlib import Path

import pytest

from ppresnet.errors import BusyError, StorageError
from ppresnet.files import DirectoryLock

HOLD = """
import sys
from ppresnet.files import DirectoryLock
with DirectoryLock(sys.argv[1]):
    print("held", flush=True)
    input()
"""


def test_second_process_is_named_and_a_kill_releases(tmp_path: Path) -> None:
    run = tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLD, str(run)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(BusyError, match=rf"run is in use by process {holder.pid};"), DirectoryLock(run):
        pytest.fail("the lock was given twice")
    holder.kill()
    holder.communicate()
    with DirectoryLock(run):
        assert (run / ".lock").read_text().strip().isdigit()


def test_lock_can_be_taken_again_and_holds_within_a_process(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path), pytest.raises(BusyError), DirectoryLock(tmp_path):
        pytest.fail("the lock was given twice")
    with DirectoryLock(tmp_path):
        pass


def test_a_longer_pid_leaves_no_digits_behind(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("99999999999999\n")
    with DirectoryLock(tmp_path), pytest.raises(BusyError) as caught, DirectoryLock(tmp_path):
        pytest.fail("the lock was given twice")
    assert "9999999999" not in str(caught.value)


def test_a_path_that_cannot_be_a_folder_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot lock"), DirectoryLock(tmp_path / "file" / "run"):
        pytest.fail("no lock")
