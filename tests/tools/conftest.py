"""Commands run as users run them: in a process of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Tool = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def tool() -> Tool:
    """Run `python tools/NAME ARGUMENTS` in the project's folder."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_DEBUG_CPU_TYPE": "5"}

    def run(name: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(ROOT / "tools" / name), *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def digits_run(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run on digits."""
    output = tmp_path_factory.mktemp("tools") / "run"
    short = ("-o", "train.epochs=2", "-o", "log.visualdl=false")
    done = tool("train.py", "-c", "configs/digits/resnet20.yaml", "--output", output, *short)
    assert done.returncode == 0, done.stderr
    return output
