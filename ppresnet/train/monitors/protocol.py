"""What watches a run, and where its numbers go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

Numbers = Mapping[str, float]


class Sink(Protocol):
    """Takes the numbers of a run somewhere; may fail, which never ends the run."""

    def write(self, kind: str, step: int, numbers: Numbers) -> None:
        """Take numbers of one kind, such as `train` or `gradient_norm`, after so many optimiser steps."""

    def close(self) -> None:
        """Write what is left, and let go of files and ports."""


class Monitor(Protocol):
    """Looks at a run while it goes and never changes it; only the first process of a run has any."""

    def on_step(self, step: int) -> None:
        """Look at the gradients of a step, from 1: they stand whole and unscaled, and the weights have not moved."""

    def on_eval(self, step: int) -> None:
        """Look at the network after an evaluation; its weights are those that were evaluated."""

    def close(self) -> None:
        """Leave the network as it was before."""
