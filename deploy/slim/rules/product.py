"""Matrix products: linear layers, and the two products of attention."""

from __future__ import annotations

import numpy as np

from deploy.slim.rules.convolution import layer_of, read
from deploy.slim.tracing import Operator
from deploy.slim.walk import Walk, refuse


def product(walk: Walk, op: Operator) -> None:
    """Multiply matrices; a parameter as the second one makes a linear layer."""
    (x,), (y,), (out,) = op.inputs["X"], op.inputs["Y"], op.outputs["Out"]
    trans_x, trans_y = op.attributes.get("trans_x", False), op.attributes.get("trans_y", False)
    if walk.tensor(y) in walk.trace.state and len(walk.shape(y)) == 2 and not trans_x:
        _linear(walk, x, y, out, trans_y)
    elif min(len(walk.shape(x)), len(walk.shape(y))) < 2 or walk.tensor(x) or walk.tensor(y):
        refuse(walk, op)
    else:
        _attention(walk, x, y, out, (trans_x, trans_y))


def _linear(walk: Walk, x: str, weight: str, out: str, transposed: bool) -> None:
    rows, columns = (0, 1) if transposed else (1, 0)
    read(walk, x, weight, columns, walk.channels(x, -1))
    fresh = walk.slots.new(walk.shape(weight)[rows])
    walk.use(weight, rows, fresh, "rows")
    rank = len(walk.shape(out))
    walk.give(out, fresh.reshape((1,) * (rank - 1) + (-1,)), layer=layer_of(str(walk.tensor(weight))))


def _attention(walk: Walk, x: str, y: str, out: str, transposed: tuple[bool, bool]) -> None:
    # A head goes or stays as a whole: softmax and its scale take its channels together.
    one, other = (
        np.swapaxes(walk.value(name).labels, -1, -2) if swap else walk.value(name).labels
        for name, swap in zip((x, y), transposed, strict=True)
    )
    rank = max(one.ndim, other.ndim)
    one, other = (each.reshape((1,) * (rank - each.ndim) + each.shape) for each in (one, other))
    batch = np.broadcast_shapes(one.shape[:-2], other.shape[:-2])
    heads = [np.broadcast_to(each, batch + each.shape[-2:]).reshape(*batch, -1) for each in (one, other)]
    for each in heads:
        walk.slots.join(each, heads[0][..., :1])
    labels = heads[0][..., 0].reshape(*batch, 1, 1)
    walk.give(out, labels, walk.value(x).zero or walk.value(y).zero)
