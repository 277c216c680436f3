"""The parent's side of a loader process."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppresnet.data.failure import Failure
from ppresnet.data.samples import PixelBatch, Samples
from ppresnet.errors import DataError
from ppresnet.processes import module_command


class WorkerProcess:
    """One process and the socket to it. It is asked one thing at a time, so neither side can block the other."""

    def __init__(self, samples: Samples) -> None:
        self._samples, self._greeted = samples, False
        self._asked: NDArray[np.int64] | None = None
        self._connection, theirs = multiprocessing.Pipe()
        paths = [path or str(Path.cwd()) for path in sys.path]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter and this package
                module_command("ppresnet.data.worker", str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                env=environment,
                pass_fds=[theirs.fileno()],
            )

    def ask(self, epoch: int, indices: NDArray[np.int64]) -> None:
        """Starts the loading of one batch; its answer must be taken before the next."""
        # Sent late: a large list of names does not fit into the socket while the process is still starting.
        if not self._greeted:
            self._send(self._samples)
            self._greeted = True
        self._asked = indices
        self._send((epoch, indices))

    def answer(self) -> PixelBatch:
        """Waits for the batch asked for. Raises as `Failure.throw`, or DataError when the worker died."""
        answer = self._receive()
        if isinstance(answer, PixelBatch):
            return answer
        if isinstance(answer, Failure):
            answer.throw()
        raise TypeError(f"a data worker answered with {type(answer).__name__}")

    def forget(self) -> None:
        """Throws away the answer to a run that was left."""
        if self._asked is not None:
            self._receive()

    def end(self) -> None:
        """Kills the process."""
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def _send(self, message: object) -> None:
        try:
            self._connection.send(message)
        except OSError as error:
            raise DataError(self._epitaph()) from error

    def _receive(self) -> object:
        try:
            answer: object = self._connection.recv()
        except (EOFError, OSError) as error:
            raise DataError(self._epitaph()) from error
        self._asked = None
        return answer

    def _epitaph(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return f"data worker {self._process.pid} closed its connection; run again with data.workers=0 to see why"
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        name = "" if self._asked is None else f" while reading a batch that begins with '{self._first(self._asked)}'"
        remedy = "memory may have run out: lower data.workers" if code < 0 else "its message stands above"
        return f"data worker {self._process.pid} {how}{name}; {remedy}, or use data.workers=0"

    def _first(self, indices: NDArray[np.int64]) -> str:
        return self._samples.source.name(int(indices[0])) if len(indices) else ""
