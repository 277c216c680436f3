"""Peak memory, against a known amount taken."""

import subprocess
import sys
from pathlib import Path

import pytest

from ppresnet.hardware.memory import peak_memory_mb


def test_peak_memory_is_this_process_own() -> None:
    ballast = bytearray(300 * 2**20)
    assert peak_memory_mb() >= len(ballast) / 2**20
    program = "from ppresnet import hardware; print(hardware.peak_memory_mb())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 5 < float(done.stdout) < 250


def test_without_proc_the_kernel_is_asked_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(self: Path) -> str:
        raise PermissionError(self)

    known = peak_memory_mb()
    monkeypatch.setattr(Path, "read_text", hidden)
    assert known / 2 < peak_memory_mb() < 1e6  # in MiB, not kiB or bytes
