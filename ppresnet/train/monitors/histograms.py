"""The distributions of weights and gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paddle import nn

if TYPE_CHECKING:
    from ppresnet.train.monitors.visualdl import VisualDl


class Histograms:
    """Shows every parameter and its gradient in VisualDL, as `weights/NAME` and `gradients/NAME`.

    Args:
        model: the network.
        every: optimiser steps from one time to the next.
        visualdl: where they are shown.
    """

    def __init__(self, model: nn.Layer, every: int, visualdl: VisualDl) -> None:
        self._model, self._every, self._visualdl = model, every, visualdl

    def on_step(self, step: int) -> None:
        """Write the histograms where they are due."""
        if step % self._every:
            return
        for name, parameter in self._model.named_parameters():
            self._visualdl.histogram(f"weights/{name}", parameter.astype("float32").numpy(), step)
            if parameter.trainable and parameter.grad is not None:
                self._visualdl.histogram(f"gradients/{name}", parameter.grad.astype("float32").numpy(), step)

    def on_eval(self, step: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
