"""An exponential moving average of the weights (Polyak and Juditsky 1992), evaluated and saved apart from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import paddle
from paddle import Tensor, nn


class Ema:
    """Keeps a float32 average of every float tensor of a network's state, running statistics among them.

    Early in training the average would remember the random start for long, so that its decay warms up:
    min(decay, (1 + steps) / (10 + steps)).

    Args:
        model: the network.
        decay: share of the average that each step keeps, below 1.
        state: the average of a checkpoint, by structured names; empty starts from the network as it is.
        steps: optimizer steps that are in that average.
    """

    def __init__(
        self, model: nn.Layer, decay: float, state: Mapping[str, np.ndarray] | None = None, steps: int = 0
    ) -> None:
        self.decay, self.steps = decay, steps
        self._live: dict[str, Tensor] = {
            name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()
        }
        self._average = {
            name: paddle.to_tensor(state[name]) if state else _as(tensor.clone().detach(), paddle.float32)
            for name, tensor in self._live.items()
        }

    @paddle.no_grad()  # type: ignore[untyped-decorator]
    def update(self) -> None:
        """Take the network's tensors into the average; call it after each optimizer step."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        for name, average in self._average.items():
            average.scale_(decay)
            average.add_(_as(self._live[name], paddle.float32).scale(1.0 - decay))

    def state(self) -> dict[str, np.ndarray]:
        """Return the average as arrays, by structured names."""
        return {name: tensor.numpy() for name, tensor in self._average.items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what `state` gave."""
        for name, tensor in self._average.items():
            tensor.set_value(state[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average into the network, for an evaluation, and the network's own tensors back afterwards."""
        own = {name: tensor.clone().detach() for name, tensor in self._live.items()}
        self._write(self._average)
        try:
            yield
        finally:
            self._write(own)

    def _write(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in self._live.items():
            tensor.set_value(_as(tensors[name], tensor.dtype))


def _as(tensor: Tensor, kind: paddle.dtype) -> Tensor:
    """Return a tensor in a type, itself where it has that type already."""
    return tensor if tensor.dtype == kind else tensor.astype(kind)
