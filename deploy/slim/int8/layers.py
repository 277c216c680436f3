"""Which layers of a network can be int8, and how far each of them is from itself in float."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from deploy.inference.graph import Graph, Op
from deploy.inference.program import read_graph
from deploy.slim.int8.ranges import named_tensors
from ppresnet.bundle import PARAMS, PDMODEL, LayerError

KINDS = (nn.Conv2D, nn.Linear)
LEVELS = 127.0
_MULTIPLIES = ("conv2d", "matmul_v2", "matmul", "mul", "conv2d_transpose")
_COMPUTED = "its kernel is computed from others, so there is nothing to round beforehand"


@dataclass(frozen=True, eq=False)
class Rounding:
    """How a quantised program rounds one layer: the range of its input, and its kernel after rounding, in float."""

    input_range: float
    kernel: NDArray[np.float32]


def layers_of(model: nn.Layer) -> dict[str, nn.Layer]:
    """Return every convolution and linear layer by structured name, in the order they were built."""
    return {name: layer for name, layer in model.named_sublayers() if isinstance(layer, KINDS)}


def refused(model: nn.Layer) -> dict[str, str]:
    """Return why a layer cannot be int8, by its name; subclasses compute their kernels."""
    return {name: _COMPUTED for name, layer in layers_of(model).items() if type(layer) not in KINDS}


def kernels_of(model: nn.Layer, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names that the kernels of layers have in programs."""
    layers = layers_of(model)
    return tuple(layers[name].weight.name for name in names)


def values_to_skip(graph: Graph) -> tuple[str, ...]:
    """Return the inputs of operators that multiply two activations or a computed kernel; these stay in float."""
    found: dict[str, None] = {}
    for op in graph.live:
        if op.type in _MULTIPLIES and not any(value in graph.parameters for value in op.inputs):
            found |= dict.fromkeys(op.inputs if op.filter is None else [op.filter])
    return tuple(found)


def roundings(directory: Path) -> dict[str, Rounding]:
    """Return how a quantised program rounds each layer, by the name of its kernel; one in float is not there.

    Args:
        directory: holds `inference.pdmodel` and `inference.pdiparams`, as PaddleSlim wrote them.

    Raises:
        CheckFailedError: the parameters are not those of the program.
    """
    graph = read_graph(directory / PDMODEL)
    tensors = named_tensors(graph, directory / PARAMS)
    found: dict[str, Rounding] = {}
    for op in graph.live:
        if op.type not in _MULTIPLIES:
            continue
        makers = [graph.producer[value] for value in op.inputs if value in graph.producer]
        kernels = [maker for maker in makers if maker.type == "dequantize_linear" and _kernel(graph, maker)]
        inputs = [maker for maker in makers if maker.type == "dequantize_linear" and not _kernel(graph, maker)]
        if len(kernels) != 1 or len(inputs) != 1:
            continue
        name = _kernel(graph, kernels[0])
        scale = tensors[kernels[0].inputs[0]].astype(np.float32)
        # A linear layer multiplies from the right, so its outputs are the last axis.
        shape = (-1, 1, 1, 1) if op.filter is not None else (1, -1)
        kernel = tensors[name].astype(np.float32) * scale.reshape(shape) / LEVELS
        found[name] = Rounding(float(tensors[inputs[0].inputs[0]].reshape(-1)[0]), kernel)
    return found


def layer_errors(
    model: nn.Layer, rounded: Mapping[str, Rounding], images: Sequence[NDArray[np.float32]]
) -> tuple[LayerError, ...]:
    """Return what rounding does to each layer alone, worst first; those that stay in float come last.

    Args:
        model: in float and evaluation mode.
        rounded: from `roundings`.
        images: batches of float32 [batch, channels, size, size].
    """
    meters = {name: _Meter(layer, rounded.get(layer.weight.name)) for name, layer in layers_of(model).items()}
    hooks = [meters[name].watch() for name in meters]
    try:
        with paddle.no_grad():
            for batch in images:
                model(paddle.to_tensor(batch))
    finally:
        for hook in hooks:
            hook.remove()
    reasons = refused(model)
    rows = [meter.row(name, reasons.get(name, "")) for name, meter in meters.items()]
    return tuple(sorted(rows, key=lambda row: -1.0 if row.error is None else row.error, reverse=True))


class _Meter:
    """Sums up how far the outputs of a layer change when its input and its kernel are rounded."""

    def __init__(self, layer: nn.Layer, rounding: Rounding | None) -> None:
        self.layer, self.rounding = layer, rounding
        self.changed = self.square = self.largest = self.change = 0.0

    def watch(self) -> paddle.nn.layer.layers.HookRemoveHelper:
        return self.layer.register_forward_post_hook(self._see)

    def _see(self, layer: nn.Layer, inputs: tuple[paddle.Tensor, ...], output: paddle.Tensor) -> None:
        if self.rounding is None:
            return
        step = self.rounding.input_range / LEVELS
        x = paddle.clip(paddle.round(inputs[0] / step), -LEVELS, LEVELS) * step
        exact = layer.weight.numpy()
        layer.weight.set_value(self.rounding.kernel)
        try:
            rounded = np.asarray(type(layer).forward(layer, x), np.float64)
        finally:
            layer.weight.set_value(exact)
        float_ = np.asarray(output, np.float64)
        change = np.abs(rounded - float_)
        self.changed += float(np.square(change).sum())
        self.square += float(np.square(float_).sum())
        self.change = max(self.change, float(change.max()))
        self.largest = max(self.largest, float(np.abs(float_).max()))

    def row(self, name: str, reason: str) -> LayerError:
        parameter, measured = self.layer.weight.name, self.rounding is not None and self.square > 0
        return LayerError(
            name=name,
            parameter=parameter,
            error=(self.changed / self.square) ** 0.5 if measured else None,
            rel_diff=self.change / self.largest if measured else None,
            int8=self.rounding is not None,
            reason=reason,
        )


def _kernel(graph: Graph, op: Op) -> str:
    """Return the parameter that an operator dequantises, or ''."""
    value = op.inputs[1]
    return value if value in graph.parameters else ""
