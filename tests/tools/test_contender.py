"""A runtime in its own process: what it does to itself is reported, and harms nobody else."""

import time
from pathlib import Path

import contender
import numpy as np
import pytest
from contender import Contender, Entry
from jury import Jury

from ppresnet.errors import CheckFailedError

IMAGES = np.ones((1, 1, 2, 2), np.float32)
FAKE = """
import os, sys, time
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[1]))
while True:
    verb, value = connection.recv()
    if verb == "open" and value["format"] == "crash":
        print("malloc_consolidate(): invalid chunk size", flush=True)
        os.abort()
    if verb == "open" and value["format"] == "untidy":
        import tempfile
        open(os.path.join(tempfile.mkdtemp(), "cache"), "w").close()
    if verb == "open" and value["format"] == "hang":
        time.sleep(60)
    if verb == "open" and value["format"] == "refuse":
        connection.send((False, "RequestError: no"))
        continue
    connection.send((True, value * 2 if verb == "run" else [1.5] * value[2] if verb == "time" else None))
"""


@pytest.fixture(autouse=True)
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "contender_process.py").write_text(FAKE)
    monkeypatch.setattr(contender, "__file__", str(tmp_path / "contender.py"))


def test_opens_runs_and_times(tmp_path: Path) -> None:
    with Contender(tmp_path) as one:
        one.open(Entry("x"))
        np.testing.assert_array_equal(one.run(IMAGES), IMAGES * 2)
        assert one.time(IMAGES, 1, 3) == [1.5] * 3


def test_a_sleeper_stops_and_wakes(tmp_path: Path) -> None:
    with Contender(tmp_path) as one:
        one.open(Entry("x"))
        one.sleep()
        status = Path(f"/proc/{one._process.pid}/status")
        deadline = time.monotonic() + 5
        while "(stopped)" not in status.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "(stopped)" in status.read_text()
        np.testing.assert_array_equal(one.run(IMAGES), IMAGES * 2)


def test_a_crash_names_signal_and_last_words(tmp_path: Path) -> None:
    with Contender(tmp_path) as one:
        with pytest.raises(CheckFailedError, match=r"ended by SIGABRT: malloc_consolidate\(\): invalid chunk size"):
            one.open(Entry("x", format="crash"))
        assert not one.alive


def test_nothing_temporary_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(contender.tempfile, "tempdir", str(tmp_path / "temporary"))
    with Contender(tmp_path) as one:
        one.open(Entry("x", format="untidy"))
        assert list((tmp_path / "temporary").rglob("cache"))
    assert not list((tmp_path / "temporary").iterdir())


def test_a_hang_ends(tmp_path: Path) -> None:
    started = time.monotonic()
    with Contender(tmp_path, timeout=0.5) as one, pytest.raises(CheckFailedError, match=r"no answer within 0\.5 s"):
        one.open(Entry("x", format="hang"))
    assert time.monotonic() - started < 20


def test_a_refusal_leaves_it_alive(tmp_path: Path) -> None:
    with Contender(tmp_path) as one:
        with pytest.raises(CheckFailedError, match="RequestError: no"):
            one.open(Entry("x", format="refuse"))
        one.open(Entry("x"))


def test_after_a_crash_the_next_candidate_gets_a_new_process(tmp_path: Path) -> None:
    with Jury(tmp_path) as jury:
        with pytest.raises(CheckFailedError, match="SIGABRT"):
            jury._open(Entry("x", format="crash"))
        np.testing.assert_array_equal(jury._open(Entry("y"))(IMAGES), IMAGES * 2)
