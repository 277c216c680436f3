"""Where a run stands: what a checkpoint keeps beside the tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from ppresnet.train.metrics import Window


@dataclass
class Best:
    """The evaluation with the highest top-1 so far, and the step of its checkpoint."""

    step: int
    top1: float
    loss: float


@dataclass
class Progress:
    """Position of a run.

    Attributes:
        epoch: epochs completed.
        batch: batches of the current epoch that are done.
        step: optimiser steps done.
        best: best evaluation so far.
        window: running sums since the last log line.
        journal_bytes: length of `metrics.jsonl` at the checkpoint.
        broken: unreadable training images met so far, name and reason.
        classes: names in the order of the labels.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: Best | None = None
    window: Window = field(default_factory=Window)
    journal_bytes: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, object]) -> Progress:
        """Return what `to_dict` gave."""
        plain = dict(fields)
        best, window = plain.pop("best"), plain.pop("window")
        return cls(
            best=Best(**best) if isinstance(best, dict) else None,
            window=Window(**window),  # type: ignore[arg-type]
            **plain,  # type: ignore[arg-type]
        )
