"""What the layers that take channels are given, and how much the loss depends on what they give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import paddle
import paddle.nn.functional as F
from numpy.typing import NDArray
from paddle import Tensor, nn

from deploy.slim.groups import ChannelGraph
from deploy.slim.rows import (
    Rows,
    axes_of,
    constant_of,
    inputs_of,
    is_product,
    ridged,
    watched,
    weight_rows,
    with_constant,
)
from deploy.slim.surgeon import Taker
from deploy.slim.taylor import Batch
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import model_of
from ppresnet.errors import DataError

RIDGE = 1e-3  # of the mean variance of an input


@dataclass
class _Seen:
    """Sums over images: of inputs with inputs, and of the squared derivative of the loss by each output."""

    constant: bool
    rows: int = 0
    squares: Rows | float = 0.0
    slopes: NDArray[np.float64] | float = 0.0

    def add(self, inputs_RI: Rows, slope_NO: Rows) -> None:
        inputs = with_constant(inputs_RI) if self.constant else inputs_RI
        self.rows += len(inputs)
        self.squares = self.squares + inputs.T @ inputs
        self.slopes = self.slopes + np.square(slope_NO).sum(axis=0)

    def taker(self, layer: nn.Layer, images: int) -> Taker:
        weight = weight_rows(layer)
        taps = len(weight) // layer.weight.shape[axes_of(layer)[0]]
        weight = np.concatenate([weight, np.zeros((int(self.constant), weight.shape[1]))])
        inverse = np.linalg.inv(ridged(np.asarray(self.squares), self.constant, RIDGE) / self.rows)
        return Taker(weight * np.sqrt(self.slopes / images), inverse, taps)


def measured_takers(checkpoint: Checkpoint, graph: ChannelGraph, batches: Iterable[Batch]) -> dict[str, Taker]:
    """Return what takes the channels of a network, by layer name.

    The loss is taken to rise with the square of what an output misses, by the mean square of its derivative over the
    images: the diagonal of the Fisher information.

    Args:
        checkpoint: of the network.
        graph: its groups.
        batches: images, float32 [batch, channels, size, size], and labels, int64 [batch].

    Raises:
        DataError: there is no image.
    """
    model = model_of(checkpoint)
    taking = {
        member.tensor.removesuffix(".weight") for group in graph for member in group.members if member.role == "columns"
    }
    layers = {name: layer for name, layer in model.named_sublayers() if name in taking and is_product(layer)}
    names = {id(layer): name for name, layer in layers.items()}
    state = model.state_dict()
    seen = {name: _Seen(constant_of(name, graph, state) is not None) for name in layers}
    passed: list[tuple[str, Rows, Tensor]] = []

    def note(layer: nn.Layer, x: Tensor, y: Tensor) -> None:
        y.retain_grads()
        passed.append((names[id(layer)], inputs_of(layer, x), y))

    images = 0
    with watched(list(layers.values()), note):
        for batch, labels in batches:
            passed.clear()
            F.cross_entropy(model(paddle.to_tensor(batch)), paddle.to_tensor(labels), reduction="sum").backward()
            for name, rows, y in passed:
                seen[name].add(rows, _by_output(layers[name], y.grad))
            images += len(batch)
    if not images:
        raise DataError("obs needs at least one batch of images, found none")
    return {name: found.taker(layers[name], images) for name, found in seen.items() if found.rows}


def _by_output(layer: nn.Layer, slope: Tensor) -> Rows:
    slopes: NDArray[np.float64] = slope.numpy().astype(np.float64)
    last = slopes if isinstance(layer, nn.Linear) else np.moveaxis(slopes, 1, -1)
    return last.reshape(-1, last.shape[-1])
