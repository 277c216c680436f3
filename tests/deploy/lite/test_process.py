"""However the worker ends, there is a clear error in time, and no process is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from deploy.lite.process import WorkerError, ask

REQUEST = {"do": "convert"}


def fake(body: str) -> list[str]:
    """A worker of our own making: any Python will do."""
    return [sys.executable, "-I", "-c", f"import json, os, signal, sys, time\n{body}"]


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("print('boom', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)", ("SIGKILL", "memory", "boom")),
        ("print('Check failed: x', file=sys.stderr, flush=True); os.abort()", ("SIGABRT", "Check failed: x")),
        ("os.kill(os.getpid(), signal.SIGSEGV)", ("SIGSEGV", "crashed")),
        ("sys.exit(0)", ("exit code 0", "no answer")),
        ("sys.exit(7)", ("exit code 7", "no answer", "(nothing)")),
        ("print('not json')", ("no answer",)),
        ("print('[]')", ("no answer",)),
        ("print(json.dumps({'error': 'ValueError: nope'}))", ("said ValueError: nope",)),
        ("print(json.dumps({'ok': {}})); sys.stdout.flush(); os.abort()", ("SIGABRT",)),
    ],
)
def test_an_end_that_is_no_answer_is_an_error(body: str, says: tuple[str, ...]) -> None:
    before = children()
    with pytest.raises(WorkerError) as caught:
        ask(fake(body), REQUEST, timeout=30)
    for part in says:
        assert part in str(caught.value)
    assert children() == before


def test_a_hung_worker_is_ended_with_its_children_in_time() -> None:
    body = "import subprocess\nprint('at layer 7', file=sys.stderr, flush=True)\n"
    body += "subprocess.Popen(['sleep', '600'])\ntime.sleep(600)"
    before, began = children(), time.monotonic()
    with pytest.raises(WorkerError, match=r"longer than 1 s(?s:.)*at layer 7"):
        ask(fake(body), REQUEST, timeout=1)
    assert time.monotonic() - began < 20
    assert children() == before
    assert not [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", "600"]]


def test_a_worker_that_closes_its_input_is_an_error() -> None:
    with pytest.raises(WorkerError, match="exit code 1"):
        ask(fake("os.close(0); sys.exit(1)"), {"do": "x" * 1_000_000}, timeout=30)


def test_only_the_last_lines_are_told() -> None:
    with pytest.raises(WorkerError) as caught:
        ask(fake("[print('line', n, file=sys.stderr) for n in range(9999)]; sys.exit(1)"), REQUEST, timeout=30)
    assert "line 9998" in str(caught.value)
    assert "line 9900" not in str(caught.value)


def test_an_interpreter_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"cannot start .*setup\.sh --lite-only"):
        ask(tmp_path / "none", REQUEST)


def test_the_answer_comes_back(python: Path) -> None:
    found = ask(python, {"do": "version"}, 60)
    assert found["lite"] == "v2.12"
    assert found["python"].startswith("3.7.")


def test_modules_of_the_caller_do_not_reach_the_worker(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('poisoned')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert ask(python, {"do": "version"}, 60)["lite"] == "v2.12"


def test_an_unknown_request_is_an_error(python: Path) -> None:
    with pytest.raises(WorkerError, match="KeyError"):
        ask(python, {"do": "dance"}, 60)


def test_a_worker_without_memory_is_an_error(python: Path) -> None:
    with pytest.raises(WorkerError) as caught:
        ask(python, {"do": "version"}, 60, memory_mb=40)
    assert "ImportError" in str(caught.value) or "MemoryError" in str(caught.value)


def test_a_worker_ends_with_its_parent(python: Path, tmp_path: Path) -> None:
    # The fifo holds the worker in np.load for ever.
    os.mkfifo(tmp_path / "inputs")
    script = (
        "import sys; from pathlib import Path; from deploy.lite.process import ask; "
        "ask(Path(sys.argv[1]), {'do': 'run', 'nb': sys.argv[2], 'inputs': sys.argv[2], 'batch': 1}, 600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(python), str(tmp_path / "inputs")])
    try:
        deadline = time.monotonic() + 60
        while not (workers := psutil.Process(parent.pid).children()) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
        _, alive = psutil.wait_procs(workers, timeout=10)
        assert workers
        assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
    finally:
        parent.kill()
        parent.wait(10)
