"""How large the gradient of each stage is."""

from __future__ import annotations

import math
from collections.abc import Callable

import paddle
from paddle import nn

from ppresnet.train.monitors.parts import totals
from ppresnet.train.monitors.protocol import Numbers


class GradientNorms:
    """Tells the L2 norm of the gradient of each stage and of all: that of the loss, before penalties and clipping.

    Args:
        model: the network.
        every: optimiser steps from one time to the next.
        write: is given the kind, the step and the numbers.
    """

    def __init__(self, model: nn.Layer, every: int, write: Callable[[str, int, Numbers], None]) -> None:
        self._model, self._every, self._write = model, every, write

    def on_step(self, step: int) -> None:
        """Tell the norms where they are due."""
        if step % self._every == 0:
            self._write("gradient_norm", step, gradient_norms(self._model))

    def on_eval(self, step: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


@paddle.no_grad()  # type: ignore[untyped-decorator]
def gradient_norms(model: nn.Layer) -> dict[str, float]:
    """Return the L2 norm of the gradient of each part of a network, and of `all`; frozen parameters have none."""
    found = {name: p.grad for name, p in model.named_parameters() if p.trainable and p.grad is not None}
    if not found:
        return {}
    squares = paddle.stack([gradient.astype("float32").square().sum() for gradient in found.values()]).tolist()
    return {part: math.sqrt(square) for part, square in totals(zip(found, squares, strict=True)).items()}
