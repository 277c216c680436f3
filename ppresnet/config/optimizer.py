"""The sections about the optimizer and its learning rate."""

from __future__ import annotations

from typing import Annotated, Literal

from ppresnet.config import values as v
from ppresnet.config.training import TrainConfig


class GroupRule(v.Section):
    """How some parameters learn unlike the rest."""

    match: v.Text
    """The first parts of their names, such as `stages.0`, or a pattern for whole names, such as `*.norm.*`."""
    lr: v.Positive = 1.0
    """Factor of their learning rate."""
    weight_decay: v.NotNegative | None = None
    """Factor of their weight decay, 0 for none; null leaves it. What is not decayed anyway stays so."""


class OptimConfig(v.Section):
    """The optimizer; a key that is for some rules only says so first."""

    name: Literal["sgd", "adamw", "lars", "lamb", "rmsprop"] = "sgd"
    """The rule."""
    lr: v.Positive = 0.1
    """Learning rate at the top of the schedule."""
    lr_batch: v.Count | None = None
    """Images of a step that lr is meant for; it grows and shrinks with the recipe's; null takes it as it is."""
    momentum: v.ShareBelowOne = 0.9
    """sgd, lars, rmsprop: share of the velocity kept each step."""
    nesterov: bool = True
    """sgd: look ahead along the velocity."""
    beta1: v.ShareBelowOne = 0.9
    """adamw, lamb: decay of the first moment."""
    beta2: v.ShareBelowOne = 0.999
    """adamw, lamb: decay of the second moment."""
    epsilon: v.Positive = 1e-8
    """adamw, lamb, lars, rmsprop: added to the denominator; rmsprop adds it below the root."""
    rho: v.ShareBelowOne = 0.9
    """rmsprop: decay of the mean square."""
    centered: bool = False
    """rmsprop: divide by the deviation in place of the mean square."""
    trust: v.Positive = 1e-3
    """lars: share of its norm that a kernel moves by at a learning rate of 1."""
    weight_decay: v.NotNegative = 5e-4
    """Strength of the pull towards zero."""
    clip_norm: v.Positive | None = None
    """Largest global norm of the gradient."""
    layer_decay: Annotated[v.Share, v.Field(gt=0)] = 1.0
    """Factor of the learning rate from each stage to the one before it; 1 trains all alike."""
    groups: Annotated[tuple[GroupRule, ...], v.Strict(False)] = ()
    """Rules such as `[{match: head, lr: 10.0}]`; where several match a parameter, the last one holds."""


def scaled_lr(optim: OptimConfig, train: TrainConfig) -> float:
    """Return the learning rate at the top of the schedule, for the images that a step of this recipe has.

    With `lr_batch` it is proportional to them (Goyal et al. 2017, arXiv:1706.02677, section 2.1).
    """
    if optim.lr_batch is None:
        return optim.lr
    return optim.lr * (train.batch_size * train.accumulate / optim.lr_batch)


class ScheduleConfig(v.Section):
    """How the learning rate moves; a key that is for some curves only says so first."""

    name: Literal["cosine", "step", "multistep", "constant", "polynomial", "exponential", "one_cycle"] = "cosine"
    """The curve after the warm-up; one_cycle is the whole curve."""
    warmup_epochs: v.NotNegative = 1.0
    """Epochs of linear rise from zero, of one_cycle's rise; parts of an epoch are allowed."""
    step_epochs: v.Count | None = None
    """step: epochs from one drop to the next; exponential: epochs that gamma is for, null for one."""
    milestones: v.Milestones = ()
    """multistep: epochs at which the rate drops."""
    gamma: Annotated[v.Share, v.Field(gt=0)] = 0.1
    """step, multistep: factor of each drop; exponential: factor that the rate falls by, smoothly."""
    power: v.Positive = 1.0
    """polynomial: the exponent; 1 is a straight line."""
    start: Annotated[v.Positive, v.Field(le=1)] = 0.04
    """one_cycle: share of lr that the rise starts from."""
    min_lr: v.NotNegative = 0.0
    """The rate never falls below this after the warm-up; polynomial and one_cycle end at it."""
