"""Peak memory, against a known amount taken."""

import subprocess
import sys

from ppresnet.hardware.memory import peak_memory_mb


def test_peak_memory_is_this_process_own() -> None:
    ballast = bytearray(300 * 2**20)
    assert peak_memory_mb() >= len(ballast) / 2**20
    program = "from ppresnet import hardware; print(hardware.peak_memory_mb())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 5 < float(done.stdout) < 250
