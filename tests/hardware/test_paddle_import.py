"""How Paddle is started: with an interrupted run's settings again, and without remarks that concern nobody."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from invented_times import CountingProber

from ppresnet.hardware import Hardware, paddle_import
from ppresnet.hardware.cpu import cpu_model
from ppresnet.hardware.probe import MKL_VARIABLE, THREADS_VARIABLE

BEFORE = asdict(Hardware(cpu_model(), "5", 1, "cpu", "measured", 3.0))
# The texts as Paddle 2.6.2 and 3.3.1 print them.
REMARKS = """
import sys, warnings
print("first", file=sys.stderr)
print("WARNING: OMP_NUM_THREADS set to 2, not 1. The computation speed will not be optimized", file=sys.stderr)
print("PLEASE USE OMP_NUM_THREADS WISELY.", file=sys.stderr)
print("  W0101 no GPU", file=sys.stderr)
warnings.warn("No ccache found. Please be aware that recompiling all source files may be required.")
"""


def started(
    monkeypatch: pytest.MonkeyPatch, repeat: Mapping[str, Any] | None, threads: int | str = "auto"
) -> tuple[Hardware, str | None, str | None]:
    """What `start` chose, and MKL's and OpenMP's variables as Paddle would find them."""
    events: list[str] = []
    monkeypatch.setattr(paddle_import, "import_paddle", lambda: events.append("paddle"))
    chosen = paddle_import.start("cpu", threads, events.append, repeat=repeat)
    assert events == [chosen.describe(), "paddle"]
    return chosen, os.environ.get(MKL_VARIABLE), os.environ.get(THREADS_VARIABLE)


def imported(folder: Path, paddle: str, after: str = "") -> subprocess.CompletedProcess[str]:
    """A fresh process that starts the Paddle given here."""
    (folder / "paddle").mkdir()
    (folder / "paddle" / "__init__.py").write_text(paddle)
    program = f"from ppresnet.hardware import import_paddle\nimport_paddle()\nprint('imported')\n{after}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)


# --- start


def test_start_chooses_when_there_is_nothing_to_repeat(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(monkeypatch, None)[1:] == ("9", "2")


def test_same_cpu_repeats_kernels_and_threads(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, mkl, threads = started(monkeypatch, BEFORE)
    assert (mkl, threads) == ("5", "1")
    assert (chosen.mkl_cpu_type, chosen.threads) == ("5", 1)
    assert fresh.asked == []


def test_mkls_own_choice_is_repeated_too(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(monkeypatch, {**BEFORE, "mkl_cpu_type": None})[1:] == ("", "1")


def test_another_cpu_is_not_repeated(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(monkeypatch, {**BEFORE, "cpu": "another"})[1:] == ("9", "2")


def test_kernels_of_the_user_win_over_the_repeat(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MKL_VARIABLE, "7")
    assert started(monkeypatch, BEFORE)[1:] == ("7", "1")


def test_threads_of_the_user_win_over_the_repeat(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "2")
    assert started(monkeypatch, BEFORE)[1:] == ("5", "2")


def test_threads_asked_for_win_over_the_repeat(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(monkeypatch, BEFORE, 2)[1:] == ("5", "2")


@pytest.mark.parametrize(
    "change", [{"cpu": None}, {"mkl_cpu_type": 5, "threads": "1"}, {"mkl_cpu_type": None, "threads": None}]
)
def test_broken_repeat_is_ignored(
    fresh: CountingProber, monkeypatch: pytest.MonkeyPatch, change: Mapping[str, Any]
) -> None:
    assert started(monkeypatch, {**BEFORE, **change})[1:] == ("9", "2")


# --- import_paddle


def test_remarks_about_threads_and_ccache_are_dropped(tmp_path: Path) -> None:
    done = imported(tmp_path, REMARKS)
    assert (done.stdout, done.stderr) == ("imported\n", "first\n  W0101 no GPU\n")


def test_only_two_warnings_are_silenced(tmp_path: Path) -> None:
    texts = ("No ccache found. Please", "When training, we now always track global mean and variance.", "No other")
    done = imported(tmp_path, "", "import warnings\n" + "\n".join(f"warnings.warn({text!r})" for text in texts))
    assert [line for line in done.stderr.splitlines() if "Warning" in line] == ["<string>:7: UserWarning: No other"]


def test_failed_import_is_told_in_full(tmp_path: Path) -> None:
    done = imported(tmp_path, REMARKS + "raise ImportError('libgomp.so.1 is missing')")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("first\n  W0101 no GPU\nTraceback")
    assert done.stderr.endswith("ImportError: libgomp.so.1 is missing\n")


def test_silence_ends_with_the_import(tmp_path: Path) -> None:
    done = imported(tmp_path, "", "import sys\nprint('OMP_NUM_THREADS', file=sys.stderr)")
    assert done.stderr == "OMP_NUM_THREADS\n"


@pytest.mark.slow
def test_real_paddle_still_remarks_on_threads() -> None:
    environment = {**os.environ, THREADS_VARIABLE: "2"}
    said = []
    for program in ("import paddle", "from ppresnet.hardware import import_paddle; import_paddle()"):
        command = [sys.executable, "-W", "ignore", "-c", program]
        said.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr)
    assert "OMP_NUM_THREADS set to 2" in said[0]
    assert "OMP_NUM_THREADS" not in said[1]
