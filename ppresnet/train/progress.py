"""Where a run stands: what a checkpoint keeps beside the tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from dataclasses import fields as fields_of
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ppresnet.errors import CheckpointError, did_you_mean
from ppresnet.train.guards import Guard
from ppresnet.train.metrics import Window
from ppresnet.train.scaling import LossScale

if TYPE_CHECKING:
    from ppresnet.train.step import Step


@dataclass
class Best:
    """The evaluation with the highest top-1, or mAP with several labels, so far, and the step of its checkpoint."""

    step: int
    top1: float
    loss: float
    map: float | None = None

    @property
    def score(self) -> float:
        """What it has most of."""
        return self.top1 if self.map is None else self.map


_PARTS: Mapping[str, type[Any]] = {"best": Best, "window": Window, "guard": Guard, "scale": LossScale}
_ALWAYS = ("epoch", "batch", "step", *_PARTS)  # each version wrote them; the others came later


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
        stale: evaluations since the best one.
        guard: what it knows of the losses so far.
        scale: of the loss, for float16.
        ema_steps: optimiser steps in the moving average.
        parts: into which a batch is cut, since memory ran out.
        classes: names in the order of the labels.
        images: to train on; 0 where an older version did not write it.
        teacher: sha256 of the weights of the network that is learned from; empty without, or from an older version.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: Best | None = None
    window: Window = field(default_factory=Window)
    journal_bytes: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    stale: int = 0
    guard: Guard = field(default_factory=Guard)
    scale: LossScale | None = None
    ema_steps: int = 0
    parts: int = 1
    classes: list[str] = field(default_factory=list)
    images: int = 0
    teacher: str = ""

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, object]) -> Progress:
        """Return what `to_dict` gave.

        Raises:
            CheckpointError: a key is unknown or missing, or its value is of another kind.
        """
        problems = [f"no key '{name}'" for name in _ALWAYS if name not in fields] + _unknown(fields, cls, "")
        for name, kind in _PARTS.items():
            part = fields.get(name)
            problems += _unknown(part, kind, f"{name}.") if isinstance(part, Mapping) else []
        if not problems:
            try:
                return TypeAdapter(cls).validate_python(dict(fields))
            except ValidationError as error:
                problems = [_wrong(each) for each in error.errors()]
        raise CheckpointError(
            f"the checkpoint's progress.json: expected the progress of a run, found {'; '.join(problems)}; resume "
            "with the ppresnet that wrote it, or start a new run with init_from and another output"
        )

    def note(self, step: Step) -> None:
        """Take over what a `Step` knows and a checkpoint keeps."""
        self.guard, self.scale, self.parts = step.guard, step.scale, step.memory.parts
        self.ema_steps = step.ema.steps if step.ema is not None else 0

    def attach(self, step: Step) -> None:
        """Give a `Step` what a checkpoint kept of it."""
        step.guard, step.memory.parts = self.guard, self.parts
        if step.scale is not None and self.scale is not None:
            step.scale = self.scale
        if step.ema is not None:
            step.ema.steps = self.ema_steps


def _unknown(found: Mapping[str, object], kind: type[Any], prefix: str) -> list[str]:
    known = [each.name for each in fields_of(kind)]
    return [f"unknown key '{prefix}{name}'{did_you_mean(name, known)}" for name in found if name not in known]


def _wrong(error: ErrorDetails) -> str:
    return f"'{'.'.join(map(str, error['loc']))}': {error['msg']}, not {error['input']!r:.40}"
