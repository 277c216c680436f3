"""How a process that `launch` started ended: files in the launch's folder, from the process to its parent."""

from __future__ import annotations

import json
import os
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from ppresnet.errors import PpresnetError
from ppresnet.files import atomic_write
from ppresnet.hardware import Place
from ppresnet.processes import ends_with_parent

FOLDER_VARIABLE = "PPRESNET_LAUNCH"


@dataclass(frozen=True)
class Outcome:
    """How one process ended.

    Attributes:
        rank: of the process.
        code: exit code.
        message: what went wrong; empty for 0.
        nanoseconds: when, since the epoch.
        unexpected: whether the error is none that a user is meant to meet, such as the loss of a connection.
    """

    rank: int
    code: int
    message: str
    nanoseconds: int
    unexpected: bool


@contextmanager
def recorded(place: Place, debug: bool = False) -> Iterator[None]:
    """Tell the parent how the block ends; without a parent that asks, only end with the launcher.

    A failure leaves as SystemExit, since the parent prints the message.

    Args:
        place: of this process.
        debug: print tracebacks.
    """
    if place.size == 1:
        yield
        return
    if follow := ends_with_parent(signal.SIGTERM):
        follow()
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        yield
        return
    atomic_write(Path(folder) / f"{place.rank}.pid", f"{os.getpid()}\n")
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        _write(Path(folder), place.rank, error)
        raise SystemExit(_code(error)) from None
    _write(Path(folder), place.rank, None)


def outcomes(folder: Path) -> list[Outcome]:
    """Return how the processes ended that said so, by rank."""
    found = [Outcome(**json.loads(path.read_bytes())) for path in folder.glob("*.outcome")]
    return sorted(found, key=lambda one: one.rank)


def pids(folder: Path) -> list[int]:
    """Return the processes that have started and not yet said how they ended, by rank."""
    started = sorted(folder.glob("*.pid"))
    return [int(path.read_text()) for path in started if not path.with_suffix(".outcome").exists()]


def died(pid: int) -> bool:
    """Return whether a process is gone, or waits only for its parent to notice."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except ProcessLookupError:
        return True
    except OSError:
        return False


def _write(folder: Path, rank: int, error: BaseException | None) -> None:
    known = error is None or isinstance(error, (PpresnetError, KeyboardInterrupt))
    message = "" if error is None else str(error) or "interrupted"
    if error is not None and not known:
        message = f"unexpected {type(error).__name__} in process {rank}: {error}; --debug shows where"
    outcome = Outcome(rank, _code(error), message, time.time_ns(), not known)
    atomic_write(folder / f"{rank}.outcome", json.dumps(asdict(outcome)))


def _code(error: BaseException | None) -> int:
    if error is None:
        return 0
    return error.exit_code if isinstance(error, PpresnetError) else 1
