"""What must hold between keys, and what this version cannot do yet: one conflict for each that does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import InitErrorDetails, PydanticCustomError

from ppresnet.config.available import AVAILABLE
from ppresnet.config.optimizer import scaled_lr

if TYPE_CHECKING:
    from ppresnet.config.schema import RunConfig

Keys = tuple[str, ...]


@dataclass(frozen=True)
class Conflict:
    """A value that is fine alone and wrong in this recipe; `others` are the keys it clashes with."""

    key: Keys
    found: Any
    text: str
    others: tuple[Keys, ...] = ()

    def detail(self) -> InitErrorDetails:
        """Return the conflict as pydantic carries errors."""
        error = PydanticCustomError("conflict", "{text}", {"text": self.text, "others": self.others})
        return InitErrorDetails(type=error, loc=self.key, input=self.found)


def conflicts(config: RunConfig) -> Iterator[Conflict]:
    """Yield everything in a recipe that is well-formed and still cannot be done."""
    yield from _unavailable(config)
    yield from _pixels(config)
    yield from _schedule(config)
    yield from _growth(config)
    yield from _log(config)
    yield from _optim(config)
    yield from _labels(config)


def _unavailable(config: RunConfig) -> Iterator[Conflict]:
    for path, able in AVAILABLE.items():
        section, key = path.split(".")
        found = getattr(getattr(config, section), key)
        if found not in able:
            wanted = " or ".join(_shown(value) for value in able)
            text = f"not available in this version; expected {wanted}, found {_shown(found)}"
            yield Conflict((section, key), found, text)


def _shown(value: object) -> str:
    return "null" if value is None else str(value)


def _pixels(config: RunConfig) -> Iterator[Conflict]:
    data, channels = config.data, config.model.in_channels
    for key, numbers in (("mean", data.mean), ("std", data.std)):
        if len(numbers) != channels:
            noun = "value" if channels == 1 else "values"
            text = f"expected {channels} {noun} because model.in_channels is {channels}, found {len(numbers)}"
            yield Conflict(("data", key), numbers, text, (("model", "in_channels"),))
    if data.resize is not None and data.resize < data.input_size:
        text = f"expected at least data.input_size, which is {data.input_size}, found {data.resize}"
        yield Conflict(("data", "resize"), data.resize, text, (("data", "input_size"),))


def _growth(config: RunConfig) -> Iterator[Conflict]:
    start, size = config.train.start_size, config.data.input_size
    if start is not None and start > size:
        text = f"expected at most data.input_size, which is {size}, found {start}"
        yield Conflict(("train", "start_size"), start, text, (("data", "input_size"),))
    if config.finetune.new_head and config.init_from is None:
        text = "expected a checkpoint in init_from to take the other weights from, found null"
        yield Conflict(("finetune", "new_head"), True, text)


def _log(config: RunConfig) -> Iterator[Conflict]:
    for key in ("histograms_every", "images", "graph"):
        found = getattr(config.log, key)
        if found and not config.log.visualdl:
            text = f"expected log.visualdl to be true, which shows them, found it false and {_shown(found)} here"
            yield Conflict(("log", key), found, text, (("log", "visualdl"),))


def _schedule(config: RunConfig) -> Iterator[Conflict]:
    schedule, chosen = config.schedule, (("schedule", "name"),)
    if schedule.name == "step" and schedule.step_epochs is None:
        text = "expected an integer because schedule.name is step, found null"
        yield Conflict(("schedule", "step_epochs"), None, text, chosen)
    if schedule.name == "multistep" and not schedule.milestones:
        text = "expected at least one epoch because schedule.name is multistep, found an empty list"
        yield Conflict(("schedule", "milestones"), (), text, chosen)
    top = scaled_lr(config.optim, config.train)
    if schedule.min_lr > top:
        scaled = "" if config.optim.lr_batch is None else " after scaling by optim.lr_batch"
        text = f"expected at most optim.lr, which is {top:g}{scaled}, found {schedule.min_lr}"
        yield Conflict(("schedule", "min_lr"), schedule.min_lr, text, (("optim", "lr"),))


def _optim(config: RunConfig) -> Iterator[Conflict]:
    optim, chosen = config.optim, (("optim", "name"),)
    if optim.name in ("lars", "lamb") and not optim.weight_decay:
        text = f"expected a value above 0 because optim.name is {optim.name}, which scales the steps of decayed "
        yield Conflict(("optim", "weight_decay"), 0.0, f"{text}parameters only, found 0", chosen)
    if optim.name == "lars" and config.amp.level == "O2":
        text = "expected O0 or O1 because optim.name is lars, which keeps no float32 weights, found O2"
        yield Conflict(("amp", "level"), "O2", text, chosen)


def _labels(config: RunConfig) -> Iterator[Conflict]:
    if not config.data.multi_label:
        return
    chosen = (("data", "multi_label"),)
    reason = "because data.multi_label is true"
    if config.data.format != "list":
        text = f"expected list {reason}, found {config.data.format}"
        yield Conflict(("data", "format"), config.data.format, text, chosen)
    if config.train.loss != "bce":
        text = f"expected bce {reason}, found {config.train.loss}"
        yield Conflict(("train", "loss"), config.train.loss, text, chosen)
    if config.distill.checkpoint is not None:
        text = f"expected null {reason}, and a teacher is learned from as one class an image, "
        text += f"found {config.distill.checkpoint}"
        yield Conflict(("distill", "checkpoint"), config.distill.checkpoint, text, chosen)
