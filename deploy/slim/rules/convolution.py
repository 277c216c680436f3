"""Convolutions: plain, grouped, depthwise, and the fixed one that an option-A skip is in evaluation."""

from __future__ import annotations

import numpy as np

from deploy.slim.slots import NONE, Labels
from deploy.slim.tracing import Operator
from deploy.slim.walk import Walk


def convolution(walk: Walk, op: Operator) -> None:
    """Take the channels of the input, and give new ones."""
    (source,), (kernel,), (out,) = op.inputs["Input"], op.inputs["Filter"], op.outputs["Output"]
    name = walk.tensor(kernel)
    if op.attributes.get("data_format", "NCHW") not in ("NCHW", "AnyLayout"):
        _refuse(walk, source, out, "a convolution with channels last is not understood")
    elif name is None:
        _refuse(walk, source, out, "a convolution computes its kernel from all of its weights")
    elif name not in walk.trace.state:
        _pick(walk, source, out, name)
    elif op.attributes.get("groups", 1) > 1:
        _grouped(walk, op, source, kernel, out)
    else:
        read(walk, source, kernel, 1, walk.channels(source))
        fresh = walk.slots.new(walk.shape(kernel)[0])
        walk.use(kernel, 0, fresh, "rows")
        walk.give(out, fresh.reshape(1, -1, 1, 1), layer=layer_of(name))


def read(walk: Walk, source: str, weight: str, axis: int, labels: Labels) -> None:
    """Note that a layer sums over channels, which it may lose only where a masked channel is zero."""
    if not walk.value(source).zero:
        walk.slots.freeze(labels, f"'{walk.tensor(weight)}' reads values that are not zero when a channel is masked")
    walk.use(weight, axis, labels, "columns")


def layer_of(tensor: str) -> str:
    """Return the name of the layer that a tensor belongs to."""
    return tensor.rpartition(".")[0]


def _refuse(walk: Walk, source: str, out: str, reason: str) -> None:
    walk.freeze(source, reason)
    walk.unknown(out, reason)


def _grouped(walk: Walk, op: Operator, source: str, kernel: str, out: str) -> None:
    # Every group of the convolution keeps its own inputs and outputs, so it goes or stays as a whole.
    groups = op.attributes["groups"]
    fresh = walk.slots.new(walk.shape(kernel)[0])
    taken = walk.channels(source).reshape(groups, -1)
    walk.slots.join(taken, taken[:, :1])
    walk.slots.join(fresh.reshape(groups, -1), taken[:, :1])
    if (taken == NONE).any():
        walk.slots.freeze(fresh, "a grouped convolution reads what is no channel")
    walk.use(kernel, 0, fresh, "rows")
    walk.give(out, fresh.reshape(1, -1, 1, 1), layer=layer_of(str(walk.tensor(kernel))))


def _pick(walk: Walk, source: str, out: str, name: str) -> None:
    kernel = walk.trace.constants[name]
    matrix = kernel[:, :, 0, 0]
    picks = kernel.shape[2:] == (1, 1) and np.isin(matrix, (0.0, 1.0)).all()
    taken = walk.channels(source)
    if not picks or (matrix.sum(axis=1) > 1).any() or matrix.shape[1] != len(taken):
        _refuse(walk, source, out, f"a convolution has the fixed kernel '{name}', which does not pick channels")
        return
    given = np.where(matrix.any(axis=1), taken[matrix.argmax(axis=1)], walk.slots.new(len(matrix)))
    walk.picks[name] = (int(matrix.any(axis=1).argmax()), given)
    walk.give(out, given.reshape(1, -1, 1, 1), walk.value(source).zero)
