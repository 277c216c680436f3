"""A SIGTERM around `import paddle` ends the process at once, as it ends any other."""

import signal
import subprocess
import sys

import pytest

BEFORE = """
import importlib, os, signal, time
from ppresnet.hardware import import_paddle
"""
DURING = """
real = importlib.import_module
def interrupted(name, *more):
    importlib.import_module = real
    os.kill(os.getpid(), signal.SIGTERM)
    made = real(name, *more)
    print("imported", flush=True)
    return made
importlib.import_module = interrupted
import_paddle()
"""
AFTER = """
import_paddle()
print("imported", flush=True)
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize("when", [DURING, AFTER], ids=["during", "after"])
def test_the_process_ends_by_the_signal_after_the_import(when: str) -> None:
    program = f"{BEFORE}{when}time.sleep(60)\nprint('still there')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "imported\n")
    assert "FatalError" not in done.stderr, "Paddle's own handler did not run"
