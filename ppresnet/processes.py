"""Commands in a process of their own, because they may crash, hang or want another environment, and how they ended."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_LAST_LINES = 12
_PR_SET_PDEATHSIG = 1  # prctl(2)
_RUN_MODULE = (
    "import sys; sys.path[:] = filter(None, sys.path); import runpy; "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


class Ended(NamedTuple):
    """How a command ended.

    Attributes:
        code: exit code, or minus the number of the signal that ended it; None where it took too long and was killed.
        lines: the last that it printed.
    """

    code: int | None
    lines: list[str]


def module_command(module: str, *arguments: str) -> list[str]:
    """Return a command as `python -m module arguments`, for which files of the current folder are no modules.

    That folder may be a data set's, and `-m` would take its `numpy.py` for numpy; Python 3.10 has no `-P` against it.
    """
    return [sys.executable, "-c", _RUN_MODULE, module, *arguments]


def run_to_end(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float, given: bytes = b""
) -> Ended:
    """Run a command and return how it ended; where Linux can tell, it does not outlive this process.

    Args:
        command: the program and its arguments.
        folder: that it runs in.
        environment: all variables that it has.
        timeout: seconds after which it is killed.
        given: what it reads from its stdin.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own programs
            command,
            cwd=folder,
            env=environment,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
            preexec_fn=ends_with_parent(signal.SIGKILL),
        )
    except subprocess.TimeoutExpired as error:
        return Ended(None, _last(error.stdout))
    return Ended(done.returncode, _last(done.stdout))


def ends_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Return a function that lets this process get a signal when its parent ends (Linux), None where that is unknown.

    The C library is found beforehand, because between fork and exec little is allowed.
    """
    try:
        control = ctypes.CDLL(None).prctl
    except (AttributeError, OSError, TypeError):
        return None

    def follow() -> None:
        control(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)

    return follow


def exit_name(code: int) -> str:
    """Return `exit code 3`, or `SIGKILL` for a process that a signal ended."""
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def ending(code: int) -> str:
    """Return `ended with exit code 3`, or `was ended by SIGKILL`."""
    return f"{'ended with' if code >= 0 else 'was ended by'} {exit_name(code)}"


def indented(lines: Iterable[str]) -> str:
    """Return lines as they stand below an error message; `(none)` where there are none."""
    return "\n".join(f"  {line}" for line in lines) or "  (none)"


def _last(output: bytes | None) -> list[str]:
    return (output or b"").decode(errors="replace").splitlines()[-_LAST_LINES:]
