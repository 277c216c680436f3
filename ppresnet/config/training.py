"""The sections about the length of a run, its optimizer, and what it learns from."""

from __future__ import annotations

from typing import Annotated, Literal

from ppresnet.config import values as v


class TrainConfig(v.Section):
    """The length of a run and its batches."""

    epochs: v.Count = 20
    """Passes over the training images."""
    batch_size: v.Count = 64
    """Images in one forward pass."""
    accumulate: v.Count = 1
    """Forward passes to one optimizer step."""
    label_smoothing: v.ShareBelowOne = 0.0
    """Share of the target spread over all classes."""
    eval_every: v.Count = 1
    """Epochs from one evaluation to the next."""
    mixup: v.NotNegative = 0.0
    """Alpha of Mixup; 0 is off. With cutmix too, a coin decides for each batch."""
    cutmix: v.NotNegative = 0.0
    """Alpha of CutMix; 0 is off."""
    start_size: v.Count | None = None
    """Height and width of the network input in the first epoch, pixels; null is the full size from the start."""
    grow_epochs: v.Count = 1
    """Epochs over which start_size grows to the full size."""
    patience: v.Count | None = None
    """Evaluations without a better top-1 after which the run ends early."""


class OptimConfig(v.Section):
    """The optimizer; `momentum` and `nesterov` are for sgd, `beta1`, `beta2` and `epsilon` for adamw."""

    name: Literal["sgd", "adamw"] = "sgd"
    """The rule."""
    lr: v.Positive = 0.1
    """Learning rate at the top of the schedule."""
    momentum: v.ShareBelowOne = 0.9
    """sgd: share of the velocity kept each step."""
    nesterov: bool = True
    """sgd: look ahead along the velocity."""
    beta1: v.ShareBelowOne = 0.9
    """adamw: decay of the first moment."""
    beta2: v.ShareBelowOne = 0.999
    """adamw: decay of the second moment."""
    epsilon: v.Positive = 1e-8
    """adamw: added to the denominator."""
    weight_decay: v.NotNegative = 5e-4
    """Strength of the pull towards zero."""
    clip_norm: v.Positive | None = None
    """Largest global norm of the gradient."""
    layer_decay: Annotated[v.Share, v.Field(gt=0)] = 1.0
    """Factor of the learning rate from each stage to the one before it; 1 trains all alike."""


class ScheduleConfig(v.Section):
    """How the learning rate moves; `step_epochs` is for step, `milestones` for multistep, `gamma` for both."""

    name: Literal["cosine", "step", "multistep", "constant"] = "cosine"
    """The curve after the warm-up."""
    warmup_epochs: v.NotNegative = 1.0
    """Epochs of linear rise from zero; parts of an epoch are allowed."""
    step_epochs: v.Count | None = None
    """step: epochs from one drop to the next."""
    milestones: v.Milestones = ()
    """multistep: epochs at which the rate drops."""
    gamma: Annotated[v.Share, v.Field(gt=0)] = 0.1
    """Factor of each drop."""
    min_lr: v.NotNegative = 0.0
    """The rate never falls below this after the warm-up."""


class EmaConfig(v.Section):
    """An exponential moving average of the weights."""

    decay: v.ShareBelowOne = 0.0
    """Share of the average kept each step; 0 keeps no average."""


class DistillConfig(v.Section):
    """Learning from the outputs of another network."""

    checkpoint: v.Text | None = None
    """The teacher; null learns from the labels alone."""
    weight: v.Share = 0.5
    """Share of the teacher in the loss."""
    temperature: v.Positive = 4.0
    """Softens both outputs."""


class FinetuneConfig(v.Section):
    """What of a network stays as it is, and what starts anew."""

    frozen_stages: v.CountOrZero = 0
    """The stem and so many stages are not trained; 0 trains everything."""
    frozen_statistics: bool = False
    """Running statistics of normalisations stay as they are, and are used in training."""
    frozen_affine: bool = False
    """Scales and shifts of normalisations are not trained."""
    new_head: bool = False
    """Start the classifier anew, for other classes than those of init_from."""


class GuardConfig(v.Section):
    """What happens when a loss or a gradient is NaN, infinite or far off."""

    spike: v.Positive | None = None
    """A loss of more than so many times the recent mean counts as bad too; null is off."""
    skips: v.CountOrZero = 3
    """Bad steps in a row that are left out; the next one rolls back."""
    rollbacks: v.CountOrZero = 1
    """Returns to the last good checkpoint, each with half the learning rate; the next one ends the run."""
