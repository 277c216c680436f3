"""Learning-rate schedules as pure functions of the step, so that resuming needs no state."""

import math
from collections.abc import Callable, Mapping

from ppresnet.config.training import ScheduleConfig

Decay = Callable[[ScheduleConfig, float, int], float]


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
    if step < warmup:
        return base * (step + 1) / warmup
    epoch = step / steps_per_epoch
    decayed = _DECAYS[schedule.name](schedule, epoch, epochs)
    return max(base * decayed, schedule.min_lr)


def _cosine(schedule: ScheduleConfig, epoch: float, epochs: int) -> float:
    # SGDR without restarts (Loshchilov and Hutter 2016, arXiv:1608.03983); starts where the warm-up ends.
    length = max(epochs - schedule.warmup_epochs, 1e-12)
    return 0.5 * (1.0 + math.cos(math.pi * min((epoch - schedule.warmup_epochs) / length, 1.0)))


def _step(schedule: ScheduleConfig, epoch: float, epochs: int) -> float:
    return float(schedule.gamma ** int(epoch // (schedule.step_epochs or epochs)))


def _multistep(schedule: ScheduleConfig, epoch: float, epochs: int) -> float:
    return float(schedule.gamma ** sum(epoch >= milestone for milestone in schedule.milestones))


def _constant(schedule: ScheduleConfig, epoch: float, epochs: int) -> float:
    return 1.0


_DECAYS: Mapping[str, Decay] = {"cosine": _cosine, "step": _step, "multistep": _multistep, "constant": _constant}
