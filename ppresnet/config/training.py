"""The sections about the length of a run, and what it learns from."""

from __future__ import annotations

from typing import Literal

from ppresnet.config import values as v


class TrainConfig(v.Section):
    """The length of a run and its batches."""

    epochs: v.Count = 20
    """Passes over the training images."""
    batch_size: v.Count = 64
    """Images in one forward pass."""
    accumulate: v.Count = 1
    """Forward passes to one optimizer step."""
    loss: Literal["cross_entropy", "bce"] = "cross_entropy"
    """cross_entropy: one class an image; bce: a yes or no for each class."""
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
    """Evaluations without a better top-1, or mAP with several labels, after which the run ends early."""


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
    maps: v.NotNegative = 0.0
    """Times the squared difference of the maps that the stages give, relative to the teacher's, whose widths must be
    the same; 0 is off."""


class SparsityConfig(v.Section):
    """Penalties that pull whole channels to zero, in preparation for pruning; the reported loss is without them."""

    bn: v.NotNegative = 0.0
    """Times the sum of the magnitudes of all BatchNorm scales (network slimming); 0 is off."""
    group_lasso: v.NotNegative = 0.0
    """Times the sum of the norms of all output channels of convolutions; 0 is off."""


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
