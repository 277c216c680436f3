"""Losses for classification."""

import paddle.nn.functional as F
from paddle import Tensor


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the mean cross-entropy, float32 [].

    Args:
        logits: float32 [batch, classes].
        labels: int64 [batch].
        smoothing: share of the target that is spread evenly over all classes (Szegedy et al. 2015, arXiv:1512.00567).
    """
    if smoothing == 0.0:
        return F.cross_entropy(logits, labels)
    target = F.label_smooth(F.one_hot(labels, logits.shape[-1]), epsilon=smoothing)
    return F.cross_entropy(logits, target, soft_label=True)


def mixed_cross_entropy(logits: Tensor, labels: Tensor, others: Tensor, share: float, smoothing: float = 0.0) -> Tensor:
    """Return the mean cross-entropy of images that show two labels each, float32 [].

    Args:
        logits: float32 [batch, classes].
        labels: int64 [batch].
        others: int64 [batch], the second label of each image.
        share: that of `labels`, from 0 to 1.
        smoothing: as for `cross_entropy`.
    """
    if share == 1.0:
        return cross_entropy(logits, labels, smoothing)
    first, second = (cross_entropy(logits, target, smoothing) for target in (labels, others))
    return first * share + second * (1.0 - share)


def distillation(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T^2 KL(teacher || student) at temperature T, the mean over a batch, float32 [].

    The factor keeps the size of the gradient independent of the temperature (Hinton et al. 2015, arXiv:1503.02531).

    Args:
        logits: of the student, float32 [batch, classes].
        teacher: logits of the teacher, without a gradient, the same shape.
        temperature: divides both, above 0.
    """
    target = F.softmax(teacher / temperature)
    divergence = F.kl_div(F.log_softmax(logits / temperature), target, reduction="batchmean")
    return divergence * temperature**2
