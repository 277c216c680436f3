"""The processes of a data-parallel run, and what they tell each other; a single process talks to nobody."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
import paddle.distributed as dist
from paddle import Tensor

from ppresnet.errors import PpresnetError, ProcessError
from ppresnet.hardware import place


@dataclass(frozen=True)
class Ranks:
    """This process among those of the run; every method but `share` is called by all of them in the same order.

    Attributes:
        rank: number of this process, from 0; the first one writes all files.
        size: processes of the run, on all machines.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes what the run leaves behind."""
        return self.rank == 0

    def share(self, indices: np.ndarray) -> np.ndarray:
        """Return this process's part of a batch of image indices; parts differ by one image at most."""
        return np.array_split(indices, self.size)[self.rank]

    def add(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes, the same bits in each of them."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def total(self, numbers: np.ndarray) -> np.ndarray:
        """Return the sum of an array over all processes."""
        return numbers if self.size == 1 else np.asarray(self.add(paddle.to_tensor(numbers)))

    def gather(self, value: Any) -> list[Any]:
        """Return what each process gave, plain data for JSON, in the order of the processes."""
        if self.size == 1:
            return [value]
        said = np.frombuffer(json.dumps(value).encode(), np.uint8)
        lengths = np.zeros(self.size, np.int64)
        lengths[self.rank] = len(said)
        lengths = self.total(lengths)
        table = np.zeros((self.size, int(lengths.max())), np.int32)
        table[self.rank, : len(said)] = said
        table = self.total(table)
        return [json.loads(row[:length].astype(np.uint8).tobytes()) for row, length in zip(table, lengths, strict=True)]

    def from_first(self, data: bytes) -> bytes:
        """Return the bytes that the first process gave; those of the others are not looked at."""
        if self.size == 1:
            return data
        length = int(self.total(np.array([len(data) * self.first], np.int64))[0])
        content = np.frombuffer(data, np.uint8) if self.first else np.zeros(length, np.uint8)
        if not length:
            return b""
        sent = paddle.to_tensor(content)
        dist.broadcast(sent, src=0)
        return np.asarray(sent).tobytes()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let an error in the block be the error of all; nothing in the block may wait for another process.

        Raises:
            ProcessError: the block went well here and failed in another process.
        """
        if self.size == 1:
            yield
            return
        error: Exception | None = None
        try:
            yield
        except Exception as caught:
            error = caught
        if not self.total(np.array([error is not None], np.int64))[0]:
            return
        said = self.gather(_told(error, self.rank))
        if error is not None:
            raise error
        raise ProcessError(*next(one for one in said if one is not None))


ALONE = Ranks()


def join(device: str) -> Ranks:
    """Return the processes that a launcher started with this one, connected: by gloo on the CPU, by NCCL on GPUs.

    Without a launcher that is this process alone. Call it before a network is built.

    Args:
        device: `cpu` or `gpu`.
    """
    here = place()
    if here.size == 1:
        return ALONE
    if device == "cpu":
        os.environ["PADDLE_DISTRI_BACKEND"] = "gloo"
        paddle.set_device("cpu")
    else:
        paddle.set_device(f"gpu:{dist.ParallelEnv().device_id}")
    # Paddle 3.3 lists its own flags there.
    with contextlib.redirect_stderr(io.StringIO()):
        dist.init_parallel_env()
    return Ranks(here.rank, here.size)


def _told(error: Exception | None, rank: int) -> tuple[str, int] | None:
    if error is None:
        return None
    if isinstance(error, PpresnetError):
        return str(error), error.exit_code
    return f"unexpected {type(error).__name__} in process {rank}: {error}", 1
