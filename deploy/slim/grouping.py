"""From a network to its channel groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from paddle import nn

from deploy.slim.groups import ChannelGraph, Group, Member, Unit
from deploy.slim.rules import RULES
from deploy.slim.rules.convolution import layer_of
from deploy.slim.slots import NONE, Labels, Slots
from deploy.slim.tracing import trace
from deploy.slim.uses import Use
from deploy.slim.walk import Walk
from ppresnet.models import build
from ppresnet.spec import ModelSpec

Signature = tuple[tuple[int, int], ...]


def channel_graph(spec: ModelSpec) -> ChannelGraph:
    """Return the channel groups of an architecture.

    Raises:
        RequestError: Paddle cannot trace the network.
        ConfigError: parts of the spec do not fit together.
    """
    return graph_of(build(spec), (spec.in_channels, spec.input_size, spec.input_size))


def graph_of(model: nn.Layer, image_shape: tuple[int, int, int]) -> ChannelGraph:
    """Return the channel groups of a network; the object is changed by Paddle, so hand over one that is not used again.

    Args:
        model: takes images [1, *image_shape].
        image_shape: channels, height and width.

    Raises:
        RequestError: Paddle cannot trace the network.
    """
    walk = Walk(trace(model, image_shape), RULES).run()
    slots, uses = walk.slots, _whole_uses(walk)
    rooted = [slots.roots(use.labels) for use in uses]
    reasons, trunk = slots.frozen(), slots.trunk()
    groups: dict[str, Group] = {}
    frozen: dict[str, Group] = {}
    unit_of: dict[int, Unit] = {}
    for (reason, signature), roots in _alike(rooted, reasons).items():
        name = _unused(_giver([uses[index] for index, _ in signature]), {*groups, *frozen})
        members = tuple(_member(uses[index], rooted[index], roots) for index, _ in signature)
        group = Group(name, len(roots), any(root in trunk for root in roots), members, reason)
        (frozen if reason else groups)[name] = group
        unit_of.update({root: (name, unit) for unit, root in enumerate(roots)})
    return ChannelGraph(
        groups,
        frozen,
        picks={
            name: (before, walk.trace.constants[name].shape[1], _units(slots, given, unit_of))
            for name, (before, given) in walk.picks.items()
        },
        norm_groups={name: _units(slots, labels[:, 0], unit_of) for name, labels in walk.norm_groups.items()},
        untouched=tuple(sorted(walk.trace.state - {use.tensor for use in uses})),
    )


def _whole_uses(walk: Walk) -> list[Use]:
    """Return the uses with the biases of layers named as such."""
    layers = {layer_of(use.tensor) for use in walk.uses if use.role == "rows"}
    for use in walk.uses:
        if use.role == "shift" and layer_of(use.tensor) in layers:
            use.role = "bias"
    return walk.uses


def _alike(rooted: Sequence[Labels], reasons: dict[int, str]) -> dict[tuple[str, Signature], list[int]]:
    """Return the roots that touch the same axes at as many positions, by why they are frozen and what they touch."""
    touched: dict[int, list[tuple[int, int]]] = {}
    for index, roots in enumerate(rooted):
        for root, count in zip(*np.unique(roots[roots != NONE], return_counts=True), strict=True):
            touched.setdefault(int(root), []).append((index, int(count)))
    order = {int(root): None for roots in rooted for root in roots if root != NONE}
    alike: dict[tuple[str, Signature], list[int]] = {}
    for root in order:
        alike.setdefault((reasons.get(root, ""), tuple(touched[root])), []).append(root)
    return alike


def _member(use: Use, rooted: Labels, roots: Sequence[int]) -> Member:
    number = {root: unit for unit, root in enumerate(roots)}
    units = np.array([number.get(int(root), -1) for root in rooted], np.int64)
    return Member(use.tensor, use.axis, use.role, units, use.norm)


def _giver(uses: Sequence[Use]) -> str:
    """Return the layer that first gives channels, or what the first one to take them reads."""
    given = [layer_of(use.tensor) for use in uses if use.role != "columns"]
    return given[0] if given else f"input of {layer_of(uses[0].tensor)}"


def _units(slots: Slots, labels: Labels, unit_of: dict[int, Unit]) -> tuple[Unit, ...]:
    return tuple(unit_of.get(int(root), ("", int(root))) for root in slots.roots(labels))


def _unused(name: str, taken: Iterable[str]) -> str:
    taken = set(taken)
    numbered = (f"{name}#{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(each for each in numbered if each not in taken)
