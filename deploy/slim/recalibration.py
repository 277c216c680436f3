"""BatchNorm statistics measured anew: after a cut, those of the whole network no longer hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import paddle
from paddle import nn

from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import model_of, weights_of
from ppresnet.errors import DataError

BATCH_NORMS = (nn.BatchNorm2D, nn.BatchNorm1D, nn.SyncBatchNorm)


def recalibrated(checkpoint: Checkpoint, batches: Iterable[np.ndarray]) -> Checkpoint:
    """Return the checkpoint with running statistics that are the mean over batches, by images; nothing else changes.

    Args:
        checkpoint: of any network; one without BatchNorm comes back as it is.
        batches: float32 images [batch, channels, size, size], such as those of a training split.

    Raises:
        DataError: there is no image.
    """
    model = model_of(checkpoint)
    norms = [layer for layer in model.sublayers() if isinstance(layer, BATCH_NORMS)]
    if not norms:
        return checkpoint
    for layer in norms:
        layer.train()
    seen = 0
    with paddle.no_grad():
        for images in batches:
            # Of the mean of all images so far; a short batch counts for less.
            kept = seen / (seen + len(images))
            for layer in norms:
                layer._momentum = kept
            model(paddle.to_tensor(images))
            seen += len(images)
    if not seen:
        raise DataError("recalibration needs at least one batch of images, found none")
    statistics = {name: array for name, array in weights_of(model).items() if name.endswith(("._mean", "._variance"))}
    # The moving average is what was measured, so where it holds statistics they are those that are replaced.
    averaged = {name: array for name, array in statistics.items() if name in checkpoint.ema}
    trained = {name: array for name, array in statistics.items() if name not in averaged}
    return replace(
        checkpoint,
        weights={**checkpoint.weights, **trained},
        ema={**checkpoint.ema, **averaged} if averaged else checkpoint.ema,
    )
