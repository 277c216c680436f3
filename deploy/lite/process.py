"""Asking the worker: however it ends, there is an answer or an error, and no process is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from ppresnet.errors import PpresnetError

WORKER = Path(__file__).with_name("worker.py")
TIMEOUT = 900.0
_TAIL_LINES, _TAIL_BYTES = 12, 4000
# Lite's own threads and allocator see nothing of the caller's settings; a preload meant for the caller would break it.
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS")


class WorkerError(PpresnetError):
    """Paddle Lite did not do what it was asked; the message ends with the last it printed."""


def ask(
    interpreter: Path | Sequence[str],
    request: Mapping[str, Any],
    timeout: float = TIMEOUT,
    memory_mb: int | None = None,
) -> dict[str, Any]:
    """Return what a fresh worker answers to one request.

    Args:
        interpreter: the Python that has Paddle Lite, or the whole command in place of the worker.
        request: `do` names the action (see `worker.py`); JSON data.
        timeout: seconds after which the worker is killed.
        memory_mb: most megabytes of address space it may take; None leaves it to the machine.

    Raises:
        WorkerError: it said no, crashed, was killed, ran out of memory or took too long.
    """
    command = [str(interpreter), "-I", "-u", str(WORKER)] if isinstance(interpreter, Path) else list(interpreter)
    line = json.dumps({**request, **({"memory_mb": memory_mb} if memory_mb else {})}) + "\n"
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    with tempfile.TemporaryFile() as log:
        try:
            worker = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise WorkerError(f"cannot start {command[0]}: {error}; run `bash tools/setup.sh --lite-only`") from error
        try:
            answer, _ = worker.communicate(line.encode(), timeout)
        except subprocess.TimeoutExpired:
            raise _failed(request, f"took longer than {timeout:g} s and was ended", log) from None
        finally:
            _end(worker)
        return _read(request, answer, worker.returncode, log)


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the worker and its children, and collect it."""
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    for stream in (worker.stdin, worker.stdout):
        if stream is not None:
            stream.close()


def _read(request: Mapping[str, Any], answer: bytes, code: int, log: IO[bytes]) -> dict[str, Any]:
    try:
        reply = json.loads(answer) if code == 0 else {}
    except ValueError:
        reply = {}
    if isinstance(reply, dict) and isinstance(reply.get("ok"), dict):
        return dict(reply["ok"])
    if isinstance(reply, dict) and "error" in reply:
        raise _failed(request, f"said {reply['error']}", log)
    raise _failed(request, _how(code), log)


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code} and no answer"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    why = {
        "SIGABRT": "Paddle Lite aborts where it cannot go on",
        "SIGKILL": "Linux does so when memory runs out; free some, or convert on a larger machine",
    }.get(name, "it crashed")
    return f"was ended by signal {name}: {why}"


def _failed(request: Mapping[str, Any], what: str, log: IO[bytes]) -> WorkerError:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _TAIL_BYTES))
    lines = log.read().decode("utf-8", "replace").splitlines()[-_TAIL_LINES:]
    last = "\n".join(f"  | {line}" for line in lines) or "  | (nothing)"
    return WorkerError(f"the Paddle Lite worker ({request.get('do')}) {what}; the last it printed:\n{last}")
