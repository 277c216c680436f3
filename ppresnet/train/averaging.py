"""Logits whose probabilities are the mean over several views of an image."""

from __future__ import annotations

import math

import numpy as np
import paddle
import paddle.nn.functional as F
from numpy.typing import NDArray
from paddle import Tensor, nn


def averaged_logits(model: nn.Layer, images: NDArray[np.float32], mirror: bool, binary: bool) -> Tensor:
    """Return logits of the mean probabilities over all views, float32 [batch, classes]; of one view its own logits.

    Args:
        model: the network, in evaluation mode.
        images: float32 [batch, channels, height, width], or [batch, views, channels, height, width].
        mirror: show each view mirrored from left to right too.
        binary: whether each class is a yes or no of its own (sigmoid), or one of all classes is there (softmax).
    """
    views = [images] if images.ndim == 4 else [images[:, index] for index in range(images.shape[1])]
    if mirror:
        views = [seen for view in views for seen in (view, view[..., ::-1])]
    logits = [model(paddle.to_tensor(np.ascontiguousarray(view))).astype("float32") for view in views]
    if len(logits) == 1:
        return logits[0]
    stacked = paddle.stack(logits)
    if binary:
        # log(p / (1 - p)); the number of views cancels out
        return _log_sum(F.log_sigmoid(stacked)) - _log_sum(F.log_sigmoid(-stacked))
    return _log_sum(F.log_softmax(stacked)) - math.log(len(logits))


def _log_sum(logarithms: Tensor) -> Tensor:
    total: Tensor = paddle.logsumexp(logarithms, axis=0)
    return total
