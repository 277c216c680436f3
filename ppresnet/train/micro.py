"""Batches cut into parts when memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ppresnet.errors import RequestError

Result = TypeVar("Result")
# What is said when an allocation fails, seen in Paddle 2.6.2 and 3.3.1: its own errors, oneDNN's status, and those of
# Python, which come out of the backward pass of a PyLayer as the text of an OSError.
_SIGNS = ("ResourceExhausted", "out of memory", "Out of memory", "cannot allocate memory", "MemoryError",
          "Unable to allocate")  # fmt: skip


@dataclass
class Memory:
    """How many parts a batch is cut into, doubled whenever one does not fit.

    The gradient stays that of the whole batch. BatchNorm normalises each part by its own statistics and moves the
    running ones once for each, so that a network with it learns a little differently; GroupNorm and LayerNorm do not
    depend on the cut.

    Attributes:
        parts: of each batch.
        report: is given a line when the number changes.
    """

    parts: int = 1
    report: Callable[[str], None] = print

    def run(self, work: Callable[[], Result], undo: Callable[[], None], images: int) -> Result:
        """Return what `work` does, done again with smaller parts while memory runs out.

        Args:
            work: forward and backward of batches in `parts` parts each.
            undo: takes back what a failed attempt left half done, gradients and running statistics.
            images: of the largest batch; 1 where batches cannot be cut.

        Raises:
            RequestError: memory runs out with the smallest parts too.
        """
        while True:
            try:
                return work()
            except Exception as error:
                if not exhausted(error):
                    raise
                if self.parts >= images:
                    raise RequestError(_TOO_LARGE) from error
                self.parts = min(2 * self.parts, images)
            self.report(f"memory ran out; from here on every batch is cut into {self.parts} parts")
            undo()


_TOO_LARGE = (
    "memory ran out, and the batch cannot be cut any smaller: that is one image at a time, or any batch where "
    "model.norm is sync_batch in several processes; lower data.input_size or train.batch_size, or set recompute.every"
)


def exhausted(error: BaseException) -> bool:
    """Return whether an error says that an allocation failed."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in _SIGNS)
