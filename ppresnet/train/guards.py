"""What keeps NaN and infinity away from the weights."""

import math

import paddle
from paddle import nn

from ppresnet.errors import DivergedError


def expect_finite(loss: float, model: nn.Layer, step: int) -> None:
    """Check the loss and every gradient, before the optimiser steps.

    Args:
        loss: mean loss of the batch.
        model: after `backward`.
        step: for the message.

    Raises:
        DivergedError: something is NaN or infinite; the weights have not been touched.
    """
    if not math.isfinite(loss):
        raise DivergedError(f"step {step}: expected a finite loss, found {loss}; {_REMEDY}")
    gradients = {name: p.grad for name, p in model.named_parameters() if p.trainable and p.grad is not None}
    finite = [paddle.isfinite(gradient).all() for gradient in gradients.values()]
    if bool(paddle.stack(finite).all()):
        return
    first = next(name for name, flag in zip(gradients, finite, strict=True) if not bool(flag))
    raise DivergedError(f"step {step}: expected finite gradients, found NaN or Inf first in '{first}'; {_REMEDY}")


_REMEDY = (
    "the weights were not changed by this step and the last checkpoint is good; "
    "lower optim.lr, lengthen schedule.warmup_epochs or set optim.clip_norm, and start again"
)
