"""The child's side of `contender.Contender`: loads one entry at a time and runs it."""

from __future__ import annotations

import ctypes
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from runtimes import Runner, open_onnxruntime, open_openvino, open_paddle

_PR_SET_PDEATHSIG = 1


def open_entry(directory: Path, entry: dict[str, Any]) -> Runner:
    """Return the runner of a `contender.Entry` given as its fields.

    Raises:
        RequestError: the runtime is not installed, the program is missing, or the combination is refused.
    """
    backend, precision, threads = entry["backend"], entry["precision"], entry["threads"]
    if backend == "onnxruntime":
        return open_onnxruntime(directory, threads)
    if backend == "openvino":
        return open_openvino(directory, precision, entry["batch"], threads)
    return open_paddle(directory, backend.removeprefix("paddle "), precision, entry["format"], threads)


def timed(runner: Runner, images_NCHW: NDArray[np.float32], warmup: int, calls: int) -> list[float]:
    """Return the milliseconds of each of `calls` runs after `warmup` untimed ones."""
    for _ in range(warmup):
        runner(images_NCHW)
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        runner(images_NCHW)
        times.append((time.perf_counter() - start) * 1e3)
    return times


def serve(connection: Connection, directory: Path) -> None:
    """Answer requests until the parent closes the connection."""
    runner: Runner | None = None
    while True:
        try:
            verb, value = connection.recv()
        except EOFError:
            return
        try:
            answer: Any = None
            if verb == "open":
                runner = None
                runner = open_entry(directory, value)
            elif runner is None:
                raise RuntimeError("nothing is open")
            elif verb == "run":
                answer = np.asarray(runner(value))
            else:
                answer = timed(runner, *value)
            connection.send((True, answer))
        except Exception as error:  # every failure is the parent's to report
            lines = str(error).strip().splitlines()
            connection.send((False, f"{type(error).__name__}: {lines[-1] if lines else 'no message'}"[:300]))


if __name__ == "__main__":
    # A stopped process does not notice that its parent died.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    serve(Connection(int(sys.argv[1])), Path(sys.argv[2]))
