"""Learning-rate schedules as pure functions of the step, so that resuming needs no state."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ppresnet.config import RunConfig, ScheduleConfig, scaled_lr


class Moment(NamedTuple):
    """Where a step stands, in epochs: since the start of the run, and what follows the warm-up.

    Attributes:
        epoch: done, parts included.
        share: of what follows the warm-up that is done, from 0 to 1.
        floor: `min_lr` as a share of the rate at the top.
    """

    epoch: float
    share: float
    floor: float


def learning_rate(schedule: ScheduleConfig, base: float, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Return the learning rate of an optimiser step.

    The rate rises linearly over `warmup_epochs`, from base / warm-up steps to base, and then decays.

    Args:
        schedule: name and numbers of the schedule.
        base: learning rate at the end of the warm-up.
        step: optimiser steps done before this one, from 0.
        steps_per_epoch: optimiser steps in an epoch.
        epochs: epochs of the whole run, warm-up included.
    """
    warmup = round(schedule.warmup_epochs * steps_per_epoch)
    if schedule.name == "one_cycle":
        return base * _one_cycle(schedule.start, schedule.min_lr / base, step, warmup, epochs * steps_per_epoch)
    if step < warmup:
        return base * (step + 1) / warmup
    epoch = step / steps_per_epoch
    share = min((epoch - schedule.warmup_epochs) / max(epochs - schedule.warmup_epochs, 1e-12), 1.0)
    decayed = _DECAYS[schedule.name](schedule, Moment(epoch, share, schedule.min_lr / base))
    return max(base * decayed, schedule.min_lr)


def scaling_line(config: RunConfig) -> str | None:
    """Return a line that says what `optim.lr_batch` makes of the learning rate, None where the rate stays as it is."""
    optim, train = config.optim, config.train
    if optim.lr_batch is None:
        return None
    return (
        f"optim.lr: {optim.lr:g} for steps of {optim.lr_batch} images (optim.lr_batch) is {scaled_lr(optim, train):g} "
        f"for those of this recipe, {train.batch_size * train.accumulate} images ({train.batch_size} x "
        f"{train.accumulate}), however many processes share them"
    )


def _cosine(schedule: ScheduleConfig, now: Moment) -> float:
    # SGDR without restarts (Loshchilov and Hutter 2016, arXiv:1608.03983); starts where the warm-up ends.
    return 0.5 * (1.0 + math.cos(math.pi * now.share))


def _step(schedule: ScheduleConfig, now: Moment) -> float:
    return float(schedule.gamma ** int(now.epoch // schedule.step_epochs)) if schedule.step_epochs else 1.0


def _multistep(schedule: ScheduleConfig, now: Moment) -> float:
    return float(schedule.gamma ** sum(now.epoch >= milestone for milestone in schedule.milestones))


def _constant(schedule: ScheduleConfig, now: Moment) -> float:
    return 1.0


def _polynomial(schedule: ScheduleConfig, now: Moment) -> float:
    return float(now.floor + (1.0 - now.floor) * (1.0 - max(now.share, 0.0)) ** schedule.power)


def _exponential(schedule: ScheduleConfig, now: Moment) -> float:
    return float(schedule.gamma ** ((now.epoch - schedule.warmup_epochs) / (schedule.step_epochs or 1)))


def _one_cycle(start: float, end: float, step: int, rise: int, steps: int) -> float:
    """Return the factor of the 1cycle policy (Smith and Topin 2017, arXiv:1708.07120) with two arcs of a cosine.

    As in Paddle and PyTorch, the last step of the rise has the top rate and the last step of all the end rate.
    """
    top = max(rise - 1, 0)
    if step < top:
        return _arc(start, 1.0, step / top)
    return _arc(1.0, end, min((step - top) / max(steps - 1 - top, 1), 1.0))


def _arc(first: float, last: float, share: float) -> float:
    return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * share))


_DECAYS: Mapping[str, Callable[[ScheduleConfig, Moment], float]] = {
    "cosine": _cosine,
    "step": _step,
    "multistep": _multistep,
    "constant": _constant,
    "polynomial": _polynomial,
    "exponential": _exponential,
}
