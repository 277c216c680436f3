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
        crashed = _crashed(folder) if first.unexpected else None
        raise ProcessError(crashed or first.message, first.code)
    if len(found) == processes:
        return
    if signal_name is not None:
        raise ProcessError(f"stopped by {signal_name} before training began; nothing was lost")
    tail = (folder / "launcher.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    ended = f"Paddle's launcher ended with exit code {returncode}: {' / '.join(tail)}"
    raise ProcessError(_crashed(folder) or _last_words(folder, found, processes) or ended)


def _crashed(folder: Path) -> str | None:
    """Return a message where the launcher saw a process killed by a signal first."""
    text = (folder / "launcher.log").read_text(encoding="utf-8", errors="replace")
    seen = _CRASHED.search(text)
    if seen is None or int(seen[2]) >= 0:
        return None
    name = signal.Signals(-int(seen[2])).name
    return (
        f"process {seen[1]} was killed by {name}; if memory ran out, lower train.batch_size or the number of processes"
    )


def _last_words(folder: Path, found: Sequence[Outcome], processes: int) -> str | None:
    silent = [rank for rank in range(processes) if rank not in {one.rank for one in found}]
    for rank in silent:
        log = folder / f"workerlog.{rank}"
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
        if lines:
            return f"process {rank} ended without a result; its last line: {lines[-1]}"
    return None
