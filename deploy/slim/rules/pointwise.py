"""Operators that treat every element alike, and those that put elements together pair by pair."""

from __future__ import annotations

import numpy as np

from deploy.slim.slots import NONE, Labels
from deploy.slim.tracing import Operator
from deploy.slim.uses import Role, Value
from deploy.slim.walk import Walk, refuse


def keep(walk: Walk, op: Operator) -> None:
    """Apply a function that is zero at zero."""
    value = walk.value(op.inputs["X"][0])
    walk.values[op.outputs["Out"][0]] = Value(value.labels, value.zero)


def gate(walk: Walk, op: Operator) -> None:
    """Apply a function that is not zero at zero."""
    walk.values[op.outputs["Out"][0]] = Value(walk.value(op.inputs["X"][0]).labels, zero=False)


def drop(walk: Walk, op: Operator) -> None:
    """Do nothing, or scale: dropout in evaluation."""
    keep(walk, op)


def scale(walk: Walk, op: Operator) -> None:
    """Multiply by a number and add another one."""
    (keep if op.attributes.get("bias", 0.0) == 0.0 else gate)(walk, op)


def softmax(walk: Walk, op: Operator) -> None:
    """Divide exponentials by their sum along an axis, from which nothing can be taken."""
    (source,) = op.inputs["X"]
    if walk.value(source).labels.shape[op.attributes.get("axis", -1)] > 1:
        walk.freeze(source, "softmax runs over all channels")
    gate(walk, op)


def pool(walk: Walk, op: Operator) -> None:
    """Pool over pixels."""
    labels = walk.value(op.inputs["X"][0]).labels
    if labels.shape[2:] != (1, 1):
        refuse(walk, op)
    else:
        keep(walk, op)


def reduce(walk: Walk, op: Operator) -> None:
    """Average over axes; not over channels."""
    (source,), (out,) = op.inputs["X"], op.outputs["Out"]
    labels, value = walk.value(source).labels, walk.value(source)
    axes = range(labels.ndim) if op.attributes.get("reduce_all") else op.attributes["dim"]
    axes = tuple(axis % labels.ndim for axis in axes)
    if any(labels.shape[axis] > 1 for axis in axes) or not walk.shape(out):
        walk.freeze(source, "an average runs over its channels")
        walk.unknown(out, "it is an average over channels")
        return
    shape = [length for axis, length in enumerate(labels.shape) if axis not in axes]
    kept = labels if op.attributes.get("keep_dim") else labels.reshape(shape)
    walk.give(out, kept, value.zero)


def constant(walk: Walk, op: Operator) -> None:
    """Give numbers that depend on no channel."""
    for out in op.outputs["Out"]:
        walk.values[out] = Value(np.full((1,) * len(walk.shape(out)), NONE, np.int64), zero=False)


def add(walk: Walk, op: Operator) -> None:
    """Add or subtract: channels that meet go together."""
    (x,), (y,), (out,) = op.inputs["X"], op.inputs["Y"], op.outputs["Out"]
    if _adopted(walk, op, "shift"):
        return
    one, other = _aligned(walk, x, y, op)
    fixed = walk.is_fixed(x) or walk.is_fixed(y)
    if not fixed and (one != NONE).any() and (other != NONE).any():
        walk.slots.mark_trunk(np.broadcast_arrays(one, other)[0])
    layer = walk.value(x).layer if walk.is_fixed(y) else None
    zero = walk.value(x).zero and walk.value(y).zero and (one != NONE).all() and (other != NONE).all()
    walk.give(out, _joined(walk, one, other), bool(zero), layer)


def multiply(walk: Walk, op: Operator) -> None:
    """Multiply: channels that meet go together, and one zero is enough."""
    (x,), (y,), (out,) = op.inputs["X"], op.inputs["Y"], op.outputs["Out"]
    if _adopted(walk, op, "scale"):
        return
    one, other = _aligned(walk, x, y, op)
    walk.give(out, _joined(walk, one, other), walk.value(x).zero or walk.value(y).zero)


def _adopted(walk: Walk, op: Operator, role: Role) -> bool:
    """Note that a parameter is a factor or a summand of each channel; False where that is not what it is."""
    (x,), (y,), (out,) = op.inputs["X"], op.inputs["Y"], op.outputs["Out"]
    if walk.tensor(y) not in walk.trace.state or walk.is_fixed(x):
        return False
    labels, shape = walk.value(x).labels, walk.shape(y)
    axis = op.attributes.get("axis", -1)
    first = axis if axis >= 0 else labels.ndim + 1 + axis - len(shape)
    long = [axis for axis in range(labels.ndim) if labels.shape[axis] > 1]
    if len(long) != 1 or not first <= long[0] < first + len(shape) or shape[long[0] - first] != labels.size:
        return False
    walk.use(y, long[0] - first, labels.ravel(), role)
    value = walk.value(x)
    walk.give(out, labels, value.zero, value.layer)
    return True


def compare(walk: Walk, op: Operator) -> None:
    """Compare with a number."""
    (refuse if (walk.value(op.inputs["Y"][0]).labels != NONE).any() else gate)(walk, op)


def _aligned(walk: Walk, x: str, y: str, op: Operator) -> tuple[Labels, Labels]:
    one, other = walk.value(x).labels, walk.value(y).labels
    axis = op.attributes.get("axis", -1)
    if axis != -1 and other.ndim < one.ndim:
        other = other.reshape(other.shape + (1,) * (one.ndim - axis - other.ndim))
    return _single(walk, x, one, other), _single(walk, y, other, one)


def _single(walk: Walk, name: str, labels: Labels, others: Labels) -> Labels:
    """Return the labels of a value; one number for many channels is none of them."""
    long = [axis - others.ndim for axis in range(others.ndim) if others.shape[axis] > 1]
    shape = walk.shape(name)
    if labels.size > 1 or not long or any(-axis <= len(shape) and shape[axis] > 1 for axis in long):
        return labels
    walk.slots.freeze(labels, "it is one number for all channels")
    return np.full_like(labels, NONE)


def _joined(walk: Walk, one: Labels, other: Labels) -> Labels:
    one, other = np.broadcast_arrays(one, other)
    walk.slots.join(one, other)
    return np.where(one != NONE, one, other)
