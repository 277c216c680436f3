"""Operators that move elements without changing them: they do to the labels what they do to the values."""

from __future__ import annotations

import numpy as np

from deploy.slim.slots import NONE, Labels
from deploy.slim.tracing import Operator
from deploy.slim.walk import Walk, refuse


def reshape(walk: Walk, op: Operator) -> None:
    """Lay the elements out in another shape."""
    (source,), (out,) = op.inputs["X"], op.outputs["Out"]
    walk.give(out, _whole(walk, source).reshape(walk.shape(out)), walk.value(source).zero)


def transpose(walk: Walk, op: Operator) -> None:
    """Exchange axes."""
    (source,), (out,) = op.inputs["X"], op.outputs["Out"]
    value = walk.value(source)
    walk.give(out, value.labels.transpose(op.attributes["axis"]), value.zero)


def join(walk: Walk, op: Operator) -> None:
    """Put values one behind another along an axis."""
    if "AxisTensor" in op.inputs:
        refuse(walk, op)
        return
    sources, (out,) = op.inputs["X"], op.outputs["Out"]
    values = [walk.value(name) for name in sources]
    axis = op.attributes["axis"] % values[0].labels.ndim
    across = np.max([np.array(value.labels.shape) for value in values], axis=0)
    parts = []
    for name, value in zip(sources, values, strict=True):
        across[axis] = walk.shape(name)[axis]
        parts.append(np.broadcast_to(value.labels, across))
    along = [other for other in range(values[0].labels.ndim) if other != axis]
    if any(part.shape[other] > 1 for part in parts for other in along):
        parts = _continued(walk, parts, axis)
    walk.give(out, np.concatenate(parts, axis), all(value.zero for value in values))


def split(walk: Walk, op: Operator) -> None:
    """Take a value apart along an axis."""
    (source,) = op.inputs["X"]
    if "AxisTensor" in op.inputs or "SectionsTensorList" in op.inputs:
        refuse(walk, op)
        return
    value = walk.value(source)
    axis = op.attributes["axis"] % value.labels.ndim
    start = 0
    for out in op.outputs["Out"]:
        stop = start + walk.shape(out)[axis]
        walk.give(out, _between(value.labels, axis, start, stop, 1), value.zero)
        start = stop


def cut_out(walk: Walk, op: Operator) -> None:
    """Take a range along some axes."""
    (source,), (out,) = op.inputs["Input"], op.outputs["Out"]
    if len(op.inputs) > 1:
        refuse(walk, op)
        return
    value, shape = walk.value(source), walk.shape(source)
    labels = value.labels
    steps = op.attributes.get("strides") or [1] * len(op.attributes["axes"])
    for axis, start, stop, step in zip(
        op.attributes["axes"], op.attributes["starts"], op.attributes["ends"], steps, strict=True
    ):
        first, last, stride = slice(start, stop, step).indices(shape[axis])
        labels = _between(labels, axis, first, last, stride)
    dropped = op.attributes.get("decrease_axis") or []
    kept = [length for axis, length in enumerate(labels.shape) if axis not in dropped]
    walk.give(out, labels.reshape(kept), value.zero)


def expand(walk: Walk, op: Operator) -> None:
    """Repeat a value along axes of length 1."""
    (source,), (out,) = op.inputs["X"], op.outputs["Out"]
    value, rank = walk.value(source), len(walk.shape(out))
    walk.give(out, value.labels.reshape((1,) * (rank - value.labels.ndim) + value.labels.shape), value.zero)


def _continued(walk: Walk, parts: list[Labels], axis: int) -> list[Labels]:
    """Join channels that lie across a seam, as those of tokens do: what continues a channel goes with it."""
    seam = parts[0].take([0], axis)
    for part in parts:
        walk.slots.join(seam, part)
        seam = np.where(seam == NONE, part.take([0], axis), seam)
    return [np.broadcast_to(seam, part.shape) for part in parts]


def _whole(walk: Walk, name: str) -> Labels:
    return np.broadcast_to(walk.value(name).labels, walk.shape(name))


def _between(labels: Labels, axis: int, start: int, stop: int, step: int) -> Labels:
    if labels.shape[axis] == 1:
        return labels
    return labels[(slice(None),) * axis + (slice(start, stop, step),)]
