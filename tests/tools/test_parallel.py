"""Training in several processes as users start it: signals, kills, resuming, errors, exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import parallel
import parallel_choice
import pytest

from ppresnet.config import RunConfig, from_dict
from ppresnet.errors import ProcessError, RequestError
from tests.tools.conftest import ROOT, Tool

RECIPE = "configs/digits/resnet20.yaml"
SHORT = ("-o", "train.epochs=4", "log.visualdl=false", "model.dropout=0.1", "checkpoint.every_steps=7")
TWO = ("--cpu-processes", "2")
LAUNCH = (sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2")
Started = tuple["subprocess.Popen[str]", Path]


def children(pid: int) -> list[int]:
    """Return all processes below one."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found += [int(status.parent.name), *children(int(status.parent.name))]
    return found


def gone(pids: list[int], seconds: float = 60.0) -> bool:
    """Return whether all of these processes end in time."""
    deadline = time.monotonic() + seconds
    while left := [pid for pid in pids if alive(pid)]:
        if time.monotonic() > deadline:
            return not left
        time.sleep(0.1)
    return True


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def same(ours: Path, theirs: Path) -> None:
    last = sorted((theirs / "checkpoints").glob("step-*"))[-1].name
    files = [
        Path("metrics.jsonl"),
        *(Path("checkpoints", last, f"{name}.safetensors") for name in ("weights", "optimizer")),
    ]
    for file in [*files, Path("checkpoints", last, "progress.json")]:
        assert (ours / file).read_bytes() == (theirs / file).read_bytes(), file


@pytest.fixture(scope="module")
def whole(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in two processes that nobody disturbed."""
    output = tmp_path_factory.mktemp("parallel") / "whole"
    done = tool("train.py", "-c", RECIPE, "--output", output, *SHORT, *TWO)
    assert done.returncode == 0, done.stderr
    assert "2 processes of 1 thread each" in done.stderr and "epoch 4/4: top-1" in done.stderr
    assert json.loads((output / "hardware.json").read_text())["processes"] == 2
    return output


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """A run in two processes that has written its first checkpoint."""
    output = tmp_path / "run"
    command = [sys.executable, str(ROOT / "tools" / "train.py"), "-c", RECIPE, "--output", str(output), *SHORT, *TWO]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_DEBUG_CPU_TYPE": "5"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    below: list[int] = []
    try:
        deadline = time.monotonic() + 120
        while not list(output.glob("checkpoints/step-*")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        below = children(process.pid)
        assert len(below) >= 3  # the launcher and two processes
        yield process, output
        assert gone(below)
    finally:
        for pid in [process.pid, *below]:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.slow
def test_two_processes_stop_at_a_signal_and_go_on_exactly(tool: Tool, whole: Path, started: Started) -> None:
    process, output = started
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert errors.count("error: ") == 1 and "stopped by SIGTERM after step" in errors
    done = tool("train.py", "-c", RECIPE, "--output", output, *SHORT, *TWO, "--resume")
    assert done.returncode == 0, done.stderr
    same(output, whole)


@pytest.mark.slow
def test_when_the_parent_is_killed_the_processes_save_and_one_process_can_go_on(
    tool: Tool, whole: Path, started: Started
) -> None:
    process, output = started
    below = children(process.pid)
    process.kill()
    assert gone(below)
    done = tool("train.py", "-c", RECIPE, "--output", output, *SHORT, "--resume")
    assert done.returncode == 0, done.stderr
    assert json.loads((output / "hardware.json").read_text())["processes"] == 1
    # The same batches and another rounding, other dropout masks and running statistics: close, not equal.
    ours, theirs = (json.loads((run / "result.json").read_text()) for run in (output, whole))
    assert abs(ours["top1"] - theirs["top1"]) < 8
    assert (output / "checkpoints" / "step-00000080").is_dir()


@pytest.mark.slow
def test_when_one_process_is_killed_all_end(started: Started) -> None:
    process, _ = started
    (launcher,) = [pid for pid in children(process.pid) if "paddle.distributed.launch" in _words(pid)]
    _, second = [pid for pid in children(launcher) if "train.py" in " ".join(_words(pid))]
    os.kill(second, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    # The launcher may see the other process fail, which lost the connection, before it sees this one.
    killed = "process 1 was killed by SIGKILL" in errors or "process 1 ended without a result" in errors
    assert killed and errors.count("error: ") == 1


def _words(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "named"),
    [("init_from=nowhere", "no checkpoint at nowhere"), ("train.batch_size=1", "an image for each of 2 processes")],
)
def test_an_error_of_the_processes_is_one_message(tool: Tool, tmp_path: Path, wrong: str, named: str) -> None:
    done = tool("train.py", "-c", RECIPE, "--output", tmp_path / "run", *SHORT, wrong, *TWO)
    assert done.returncode == 2, done.stderr
    assert named in done.stderr and done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--backend", "gloo")], ids=["new launcher", "old launcher"])
def test_the_launcher_of_paddle_trains_as_the_switch_does(
    options: tuple[str, ...], whole: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    command = [
        *LAUNCH,
        *options,
        "--log_dir",
        tmp_path / "log",
        "tools/train.py",
        "-c",
        RECIPE,
        "--output",
        output,
        *SHORT,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_DEBUG_CPU_TYPE": "5"}
    done = subprocess.run([*map(str, command)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    same(output, whole)


def test_clearly_faster_processes_are_chosen() -> None:
    assert parallel_choice.choose({1: 100.0, 2: 180.0}) == 2
    assert parallel_choice.choose({1: 100.0, 2: 104.0}) == 1
    assert parallel_choice.choose({1: 100.0, 2: 60.0}) == 1
    assert parallel_choice.choose({1: 100.0}) == 1


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Measurements that were asked for; two processes are 1.7 times as fast, and nothing is really run."""
    calls: list[int] = []

    def pace(config: RunConfig, count: int) -> float:
        calls.append(count)
        if config.model.name == "cifar_resnet32" and count > 1:
            raise ProcessError("no memory")
        return 100.0 * (1.7 if count > 1 else 1.0)

    monkeypatch.setattr(parallel_choice, "pace", pace)
    monkeypatch.setattr(parallel_choice.hardware, "usable_cores", lambda: 2)
    monkeypatch.setattr(parallel_choice.os, "getloadavg", lambda: (0.5, 0.0, 0.0))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("MKL_DEBUG_CPU_TYPE", "5")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return calls


def test_auto_measures_once_and_says_what(asked: list[int]) -> None:
    lines: list[str] = []
    config = from_dict({"hardware": {"device": "cpu"}})
    assert parallel_choice.chosen_count(config, lines.append) == 2
    assert sorted(asked) == [1, 1, 2, 2]
    assert "1 process 100.0, 2 processes 170.0; kept in " in lines[0]
    assert parallel_choice.chosen_count(config, lines.append) == 2
    assert len(asked) == 4 and lines[1].endswith("known from before")
    other = from_dict({"train": {"batch_size": 32}})
    parallel_choice.chosen_count(other, lines.append)
    assert len(asked) == 8


def test_what_was_measured_on_busy_cores_is_not_kept(asked: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_choice.os, "getloadavg", lambda: (3.0, 0.0, 0.0))
    lines: list[str] = []
    for times in (1, 2):
        assert parallel_choice.chosen_count(RunConfig(), lines.append) == 2
        assert len(asked) == 4 * times
    assert lines[0].endswith("the cores were busy, so the next run measures again")


def test_processes_that_fail_are_not_chosen(asked: list[int]) -> None:
    assert parallel_choice.chosen_count(from_dict({"model": {"name": "cifar_resnet32"}}), lambda _: None) == 1
    assert parallel_choice.chosen_count(from_dict({"hardware": {"threads": 2}}), lambda _: None) == 1
    assert sorted(asked) == [1, 1, 2, 2]  # none where the threads leave no cores


def test_the_command_line_wins_over_the_recipe(asked: list[int]) -> None:
    several = from_dict({"hardware": {"processes": 3, "device": "cpu"}})
    assert parallel.count_of(None, several) == 3
    assert parallel.count_of("1", several) == 1
    assert parallel.count_of("4", several) == 4
    assert parallel.count_of("auto", several) == 2
    assert parallel.count_of("auto", several, {"processes": 5}) == 5, "that of the run that is resumed"
    assert parallel.count_of("4", several, {"processes": 5}) == 4
    for wrong in ("0", "-1", "two", "1.5"):
        with pytest.raises(RequestError, match="expected auto or a number from 1 on"):
            parallel.count_of(wrong, several)
