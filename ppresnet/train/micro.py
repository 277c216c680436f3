"""Batches cut into parts when memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from paddle import nn

Result = TypeVar("Result")
MOST = 64  # parts
# What Paddle says in a RuntimeError or SystemError when an allocation fails, seen in 2.6.2 and 3.3.1.
_SIGNS = ("ResourceExhausted", "out of memory", "Out of memory", "cannot allocate memory")


@dataclass
class Memory:
    """How many parts a batch is cut into, doubled whenever one does not fit.

    The gradient stays that of the whole batch. BatchNorm normalises each part by its own statistics, so that a network
    with it learns a little differently; GroupNorm and LayerNorm do not depend on the cut.

    Attributes:
        parts: of each batch.
        report: is given a line when the number changes.
    """

    parts: int = 1
    report: Callable[[str], None] = print

    def run(self, work: Callable[[], Result], model: nn.Layer) -> Result:
        """Return what `work` does, done again with smaller parts while memory runs out.

        Args:
            work: forward and backward of one batch in `parts` parts.
            model: its gradients, which a failed attempt leaves half done, are put back to what they were.
        """
        while True:
            before = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
            try:
                return work()
            except (MemoryError, RuntimeError, SystemError) as error:
                if not exhausted(error) or self.parts >= MOST:
                    raise
                self.parts *= 2
            self.report(f"memory ran out; from here on every batch is cut into {self.parts} parts")
            for name, parameter in model.named_parameters():
                parameter.clear_gradient(False)
                if name in before:
                    parameter.grad = before[name]


def exhausted(error: BaseException) -> bool:
    """Return whether an error says that an allocation failed."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in _SIGNS)
