"""Normalisations. Masking means masking what they give, so a channel of theirs is zero whatever they are given."""

from __future__ import annotations

import numpy as np

from deploy.slim.rules.convolution import layer_of
from deploy.slim.tracing import Operator
from deploy.slim.uses import Role
from deploy.slim.walk import Walk


def batch_norm(walk: Walk, op: Operator) -> None:
    """Normalise each channel by its own statistics."""
    (source,), (scale,), (shift,) = op.inputs["X"], op.inputs["Scale"], op.inputs["Bias"]
    (mean,), (variance,), (out,) = op.inputs["Mean"], op.inputs["Variance"], op.outputs["Y"]
    labels, value = walk.channels(source), walk.value(source)
    name = walk.tensor(scale)
    if name is not None and name in walk.trace.state:
        _note_norm(walk, value.layer, layer_of(name))
        walk.use(scale, 0, labels, "scale")
        walk.use(shift, 0, labels, "shift")
        walk.use(mean, 0, labels, "statistics")
        walk.use(variance, 0, labels, "statistics")
        zero = True
    else:
        fixed = [walk.trace.constants.get(walk.tensor(each) or "") for each in (mean, shift)]
        zero = value.zero and all(each is not None and not each.any() for each in fixed)
    walk.give(out, labels.reshape(1, -1, *[1] * (value.labels.ndim - 2)), zero)


def group_norm(walk: Walk, op: Operator) -> None:
    """Normalise groups of channels; without one of its channels a group has other statistics, so it goes as a whole."""
    (source,), (out,) = op.inputs["X"], op.outputs["Y"]
    groups = op.attributes["groups"]
    labels, value = walk.channels(source), walk.value(source)
    by_group = labels.reshape(groups, -1)
    walk.slots.join(by_group, by_group[:, :1])
    if groups == 1:
        walk.slots.freeze(labels, "a normalisation runs over all of its channels")
    roles: tuple[tuple[str, Role], ...] = (("Scale", "scale"), ("Bias", "shift"))
    for key, role in roles:
        for name in op.inputs.get(key, ()):
            walk.use(name, 0, labels, role)
            layer = layer_of(str(walk.tensor(name)))
            _note_norm(walk, value.layer, layer)
            walk.norm_groups[layer] = by_group
    walk.give(out, labels.reshape(1, -1, *[1] * (value.labels.ndim - 2)), bool(op.inputs.get("Scale")))


def layer_norm(walk: Walk, op: Operator) -> None:
    """Normalise over the last axes, which nothing can be taken from."""
    (source,), (out,) = op.inputs["X"], op.outputs["Y"]
    walk.freeze(source, "LayerNorm runs over all channels of a token")
    for key in ("Scale", "Bias"):
        for name in op.inputs.get(key, ()):
            labels = np.broadcast_to(walk.channels(source, -1), walk.shape(name)).copy()
            walk.use(name, 0, labels, "scale" if key == "Scale" else "shift")
    walk.values[out] = walk.value(source)


def _note_norm(walk: Walk, layer: str | None, norm: str) -> None:
    for use in walk.uses:
        if layer is not None and use.role in ("rows", "shift") and layer_of(use.tensor) == layer:
            use.norm = norm
