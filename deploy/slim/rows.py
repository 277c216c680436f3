"""What a layer is given and what it gives, as rows of a table: one for each output it computes, or a few of them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import paddle.nn.functional as F
from numpy.typing import NDArray
from paddle import Tensor, nn

from deploy.slim.groups import ChannelGraph

POSITIONS = 16  # of the output of a convolution, in each image
LEAST = 1e-12  # of a ridge, where no input varies
Rows = NDArray[np.float64]
Watch = Callable[[nn.Layer, Tensor, Tensor], None]


@contextmanager
def watched(layers: Sequence[nn.Layer], note: Watch) -> Iterator[None]:
    """Call `note` with layer, input and output whenever one of the layers runs."""
    hooks = [layer.register_forward_post_hook(lambda layer, given, y: note(layer, given[0], y)) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def is_product(layer: nn.Layer) -> bool:
    """Return whether each output is a product of the weight with one row: dense convolutions and linear layers."""
    if isinstance(layer, nn.Conv2D):
        # Paddle tells these nowhere else; `unfold` counts four paddings in another order.
        return bool(layer._groups == 1 and layer._padding_mode == "zeros" and len(layer._updated_padding) == 2)
    return isinstance(layer, nn.Linear)


def axes_of(layer: nn.Layer) -> tuple[int, int]:
    """Return the axes of the weight that are the inputs and the outputs."""
    return (0, 1) if isinstance(layer, nn.Linear) else (1, 0)


def weight_rows(layer: nn.Layer) -> Rows:
    """Return the weight as what a row is multiplied with, float64 [inputs, outputs]."""
    weight: Rows = layer.weight.numpy().astype(np.float64)
    return weight if isinstance(layer, nn.Linear) else weight.reshape(len(weight), -1).T


def inputs_of(layer: nn.Layer, x: Tensor) -> Rows:
    """Return rows of what makes one output each: features, or the patch beneath a kernel, float64 [rows, inputs]."""
    if isinstance(layer, nn.Linear):
        rows: Rows = x.numpy().reshape(-1, x.shape[-1]).astype(np.float64)
        return rows
    patches_NIL = F.unfold(x, layer._kernel_size, layer._stride, layer._updated_padding, layer._dilation).numpy()
    return _sampled(patches_NIL)


def constant_of(layer: str, graph: ChannelGraph, tensors: Container[str]) -> tuple[str, int] | None:
    """Return which tensor could take a constant added to a layer's outputs and with which sign, if there is one.

    The mean of a BatchNorm is subtracted, so it takes the negative.
    """
    if f"{layer}.bias" in tensors:
        return f"{layer}.bias", 1
    norms = {member.norm for axis in (0, 1) for _, member in graph.by_axis.get((f"{layer}.weight", axis), ())}
    means = [f"{norm}._mean" for norm in norms if f"{norm}._mean" in tensors]
    return (means[0], -1) if means else None


def with_constant(inputs_RI: Rows) -> Rows:
    """Return the rows with a 1 behind each, so that a product with them can add a constant to every output."""
    return np.concatenate([inputs_RI, np.ones((len(inputs_RI), 1))], axis=1)


def ridged(squares_II: Rows, constant: bool, ridge: float) -> Rows:
    """Return sums of squares with a ridge, which keeps weights near what they are where few rows say otherwise.

    It is that share of how much the inputs vary, or of their mean square where no `constant` stands behind them; the
    constant itself has none, so that it costs nothing.
    """
    varies = np.diagonal(squares_II).copy()
    if constant:
        varies -= squares_II[-1] ** 2 / squares_II[-1, -1]
    free = np.arange(len(varies)) < len(varies) - int(constant)
    return np.asarray(squares_II + np.diag((ridge * varies[free].mean() + LEAST) * free))


def outputs_of(layer: nn.Layer, y: Tensor) -> Rows:
    """Return the outputs that belong to `inputs_of`, float64 [rows, outputs]."""
    if isinstance(layer, nn.Linear):
        rows: Rows = y.numpy().reshape(-1, y.shape[-1]).astype(np.float64)
        return rows
    return _sampled(y.numpy().reshape(y.shape[0], y.shape[1], -1))


def _sampled(values_NCL: NDArray[np.float32]) -> Rows:
    """Return a few positions of each image, always the same ones, float64 [images * positions, channels]."""
    length = values_NCL.shape[2]
    chosen = np.random.default_rng(length).permutation(length)[:POSITIONS]
    rows: Rows = values_NCL[:, :, chosen].transpose(0, 2, 1).reshape(-1, values_NCL.shape[1]).astype(np.float64)
    return rows
