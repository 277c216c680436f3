"""Losses for classification."""

from __future__ import annotations

from typing import Literal

import paddle
import paddle.nn.functional as F
from paddle import Tensor

Kind = Literal["cross_entropy", "bce"]


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0, kind: Kind = "cross_entropy") -> Tensor:
    """Return the mean cross-entropy, float32 [].

    With `bce` each class is a yes or no of its own, and the mean is over images and classes.

    Args:
        logits: [batch, classes], of any floating-point type.
        labels: int64 [batch]; for bce also [batch, classes] of zeros and ones.
        smoothing: share of the target that is spread evenly over all classes (Szegedy et al. 2015, arXiv:1512.00567).
        kind: of the recipe's `train.loss`.
    """
    logits = logits.astype("float32")  # a loss in float16 would overflow under the scale of AMP
    if kind == "bce":
        targets = _targets(logits, labels)
        spread = targets * (1.0 - smoothing) + targets.mean(axis=1, keepdim=True) * smoothing if smoothing else targets
        return F.binary_cross_entropy_with_logits(logits, spread)
    if smoothing == 0.0:
        return F.cross_entropy(logits, labels)
    target = F.label_smooth(F.one_hot(labels, logits.shape[-1]), epsilon=smoothing)
    return F.cross_entropy(logits, target, soft_label=True)


def mixed_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    others: Tensor,
    share: float,
    smoothing: float = 0.0,
    kind: Kind = "cross_entropy",
) -> Tensor:
    """Return the mean cross-entropy of images that show two targets each, float32 [].

    Args:
        logits: float32 [batch, classes].
        labels: as for `cross_entropy`.
        others: the second labels of each image.
        share: that of `labels`, from 0 to 1.
        smoothing: as for `cross_entropy`.
        kind: as for `cross_entropy`.
    """
    if share == 1.0:
        return cross_entropy(logits, labels, smoothing, kind)
    first, second = (cross_entropy(logits, target, smoothing, kind) for target in (labels, others))
    return first * share + second * (1.0 - share)


def summed_cross_entropy(logits: Tensor, labels: Tensor, kind: Kind) -> float:
    """Return the sum over images of the loss that `cross_entropy` is the mean of; arguments as there."""
    if kind == "bce":
        return float(cross_entropy(logits, labels, kind=kind)) * len(labels)
    return float(F.cross_entropy(logits.astype("float32"), labels, reduction="sum"))


def distillation(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T^2 KL(teacher || student) at temperature T, the mean over a batch, float32 [].

    The factor keeps the size of the gradient independent of the temperature (Hinton et al. 2015, arXiv:1503.02531).

    Args:
        logits: of the student, [batch, classes], of any floating-point type.
        teacher: logits of the teacher, without a gradient, the same shape.
        temperature: divides both, above 0.
    """
    target = F.softmax(teacher.astype("float32") / temperature)
    divergence = F.kl_div(F.log_softmax(logits.astype("float32") / temperature), target, reduction="batchmean")
    return divergence * temperature**2


def _targets(logits: Tensor, labels: Tensor) -> Tensor:
    whole: Tensor = labels if labels.ndim == 2 else F.one_hot(labels, logits.shape[-1])
    return whole.astype(paddle.float32)
