"""`import paddle`, with the environment prepared before it and its remarks left out."""

import contextlib
import importlib
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ppresnet.hardware.cpu import cpu_model
from ppresnet.hardware.environment import Hardware, prepare
from ppresnet.hardware.place import place
from ppresnet.hardware.probe import MKL_VARIABLE, THREADS_VARIABLE


def start(
    device: str, threads: int | str, report: Callable[[str], None], repeat: Mapping[str, Any] | None = None
) -> Hardware:
    """Prepare, say what was chosen, and import Paddle: what a command does first.

    Args:
        device: as for `prepare`.
        threads: as for `prepare`.
        report: is given the line that says what was chosen.
        repeat: `dataclasses.asdict` of what an interrupted run used; its kernels and threads are used again on the same
            CPU, since others round differently.
    """
    as_before(repeat)
    chosen = prepare(device, threads)
    report(chosen.describe())
    import_paddle()
    return chosen


def as_before(repeat: Mapping[str, Any] | None, processes: int | None = None) -> None:
    """Put the kernels and threads of an interrupted run into the environment, as long as it names none itself.

    Args:
        repeat: as for `start`.
        processes: of the run that goes on, None for those of the environment; other numbers have other threads.
    """
    wanted = processes or place().size
    if repeat is not None and repeat.get("cpu") == cpu_model() and repeat.get("processes", 1) == wanted:
        mkl, count = repeat.get("mkl_cpu_type"), repeat.get("threads")
        if isinstance(count, int) and (mkl is None or isinstance(mkl, str)):
            os.environ.setdefault(MKL_VARIABLE, mkl or "")  # MKL reads '' as unset
            os.environ.setdefault(THREADS_VARIABLE, str(count))


def import_paddle() -> None:
    """Import Paddle without the remarks that do not concern a user of this project; all others are passed on.

    Left out: that ccache is missing (only custom operators use it), that BatchNorm always tracks its statistics, and
    that more than one thread was chosen (seen in Paddle 2.6.2 and 3.3.1).

    A SIGTERM that comes meanwhile waits for the end of the import, and then does what it would have done before it.
    """
    warnings.filterwarnings("ignore", message="No ccache found", category=UserWarning)
    warnings.filterwarnings("ignore", message="When training, we now always track global mean", category=UserWarning)
    printed = io.StringIO()
    try:
        with _own_sigterm(), contextlib.redirect_stderr(printed):
            importlib.import_module("paddle")
    finally:
        lines = [line for line in printed.getvalue().splitlines() if "OMP_NUM_THREADS" not in line]
        sys.stderr.write("".join(f"{line}\n" for line in lines))


@contextlib.contextmanager
def _own_sigterm() -> Iterator[None]:
    # Paddle takes the signal over while it is imported, and its handler allocates memory: one that comes in the midst
    # of an allocation hangs the process for good (seen in 3.3.1).
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler if handler is not None else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
