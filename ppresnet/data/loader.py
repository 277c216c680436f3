"""Batches in order, loaded ahead by processes that live as long as the training."""

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ppresnet.data.process import WorkerProcess
from ppresnet.data.samples import Batch, Samples


class Loader:
    """Loads batches in this process (`workers` 0) or in `workers` others; the batches are the same.

    Use it as a context manager around the whole training. Worker k loads every `workers`-th batch and is one batch
    ahead; it ends by itself when this process does, however that ends.

    Args:
        samples: what to load.
        workers: processes to start.
    """

    def __init__(self, samples: Samples, workers: int = 0) -> None:
        self.samples = samples
        self._run: object = None
        self._workers: list[WorkerProcess] = []
        try:
            for _ in range(workers):
                self._workers.append(WorkerProcess(samples))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Loader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the workers; they hold nothing that could be lost."""
        for worker in self._workers:
            worker.end()

    def run(self, epoch: int, batches: Sequence[NDArray[np.int64]], start: int = 0) -> Iterator[Batch]:
        """Yields the batches of an epoch from number `start` on.

        A run may be left before its end; the next one then begins afresh.

        Raises:
            DataError: an image's file cannot be read (it is named), or a worker died.
            RuntimeError: this run is continued after another one began.
        """
        if not self._workers:
            return (self.samples.load(epoch, indices) for indices in batches[start:])
        return self._ahead(epoch, batches[start:])

    def _ahead(self, epoch: int, batches: Sequence[NDArray[np.int64]]) -> Iterator[Batch]:
        run = self._run = object()
        for worker in self._workers:
            worker.forget()
        todo = iter(batches)
        pending: deque[WorkerProcess] = deque()
        for worker, indices in zip(self._workers, todo, strict=False):
            worker.ask(epoch, indices)
            pending.append(worker)
        while pending:
            worker = pending.popleft()
            pixels = worker.answer()
            for indices in itertools.islice(todo, 1):
                worker.ask(epoch, indices)
                pending.append(worker)
            yield self.samples.finish(pixels)
            if self._run is not run:
                raise RuntimeError("this run of the loader was continued after another one began")
