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
