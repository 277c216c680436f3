"""Which of several processes failed first, and what to say about it."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from pathlib import Path

from ppresnet.errors import ProcessError
from ppresnet.train.outcome import Outcome, outcomes

# What Paddle's launcher (2.6 to 3.3) writes about the first process that it finds failed.
_CRASHED = re.compile(r"Container rank (\d+) status failed .* code (-?\d+) log")
_OUT_OF_MEMORY = "if memory ran out, lower train.batch_size or the number of processes"


def judge(folder: Path, returncode: int, processes: int, signal_name: str | None) -> None:
    """Raise what the process that failed first said; return where all went well.

    Args:
        folder: of the launch, with outcomes and logs.
        returncode: exit code of the launcher, which says little.
        processes: how many there were.
        signal_name: the signal that was passed on, None for none.

    Raises:
        ProcessError: with message and exit code of that process.
    """
    found = outcomes(folder)
    failed = [one for one in found if one.code]
    if failed:
        first = min(failed, key=lambda one: one.nanoseconds)
        cause = _cause(folder, found, first, processes) if first.unexpected else first.message
        raise ProcessError(cause, first.code)
    if len(found) == processes:
        return
    if signal_name is not None:
        raise ProcessError(f"stopped by {signal_name} before training began; nothing was lost")
    tail = (folder / "launcher.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    ended = f"Paddle's launcher ended with exit code {returncode}: {' / '.join(tail)}"
    raise ProcessError(_crashed(folder) or _last_words(folder, found, processes) or ended)


def _cause(folder: Path, found: Sequence[Outcome], first: Outcome, processes: int) -> str:
    """Return what may be behind an unexpected error: the connection is lost to a process that was killed."""
    if crashed := _crashed(folder):
        return crashed
    # The launcher looks once a second, and then names the lowest rank of those that failed meanwhile.
    silent = _silent(found, processes)
    if not silent:
        return first.message
    ended = f"process {silent[0]} ended without a result, as one does that was killed"
    return f"{first.message}; {ended}: {_OUT_OF_MEMORY}"


def _silent(found: Sequence[Outcome], processes: int) -> list[int]:
    """Return the ranks that did not say how they ended."""
    return [rank for rank in range(processes) if rank not in {one.rank for one in found}]


def _crashed(folder: Path) -> str | None:
    """Return a message where the launcher saw a process killed by a signal first."""
    text = (folder / "launcher.log").read_text(encoding="utf-8", errors="replace")
    seen = _CRASHED.search(text)
    if seen is None or int(seen[2]) >= 0:
        return None
    name = signal.Signals(-int(seen[2])).name
    return f"process {seen[1]} was killed by {name}; {_OUT_OF_MEMORY}"


def _last_words(folder: Path, found: Sequence[Outcome], processes: int) -> str | None:
    for rank in _silent(found, processes):
        log = folder / f"workerlog.{rank}"
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
        if lines:
            return f"process {rank} ended without a result; its last line: {lines[-1]}"
    return None
