"""A machine and a process that the tests of `ppresnet.hardware` may change."""

import sys
from pathlib import Path

import pytest
from invented_times import CountingProber

from ppresnet.hardware import environment
from ppresnet.hardware.probe import MKL_VARIABLE, THREADS_VARIABLE


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CountingProber:
    """A process that has not imported Paddle, on a machine with two cores, MKL and an empty cache."""
    prober = CountingProber()
    for name in (MKL_VARIABLE, THREADS_VARIABLE):
        monkeypatch.setenv(name, "")  # so that what the code under test sets is undone
        monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, "paddle", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    library = tmp_path / "libmklml_intel.so"
    library.write_bytes(b"")
    monkeypatch.setattr(environment, "mkl_library", lambda: library)
    monkeypatch.setattr(environment, "usable_cores", lambda: 2)
    monkeypatch.setattr(environment, "measure", lambda _, mkl, threads: prober(mkl, threads))
    return prober
