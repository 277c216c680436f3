"""Shares by what channels cost: those go first that take much of what is short, and hold little of the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from deploy.slim.allocation import Allocation, Limits
from deploy.slim.families import narrowed
from deploy.slim.groups import ChannelGraph, Group
from deploy.slim.importance import Scores
from deploy.slim.kept import Kept
from ppresnet.models import cost
from ppresnet.spec import ModelSpec

POWER = 0.5  # of the density; 0 takes the same share from every group


def dense_first(
    graph: ChannelGraph, scores: Mapping[str, Scores], limits: Limits, densities: Mapping[str, float]
) -> Allocation:
    """Take a share from the densest group, and from every other one less, the less dense it is.

    Where the densest keeps the share k, one of a d-th of its density keeps k to the power of d ** -POWER. Channels of
    large maps take as many operations for a parameter as there are pixels, so that of two networks of equal cost the
    one that lost those has the more parameters, and learns more.

    Args:
        graph: the groups.
        scores: of each unit, by group.
        limits: what is respected.
        densities: of each group that may lose anything.
    """
    densest = max(densities.values(), default=1.0)

    def wanted(group: Group, strength: float) -> float:
        weight = (densities[group.name] / densest) ** POWER * (limits.trunk_share if group.trunk else 1.0)
        return float(group.units * (1 - min(strength, 1.0)) ** weight)

    return Allocation(graph, scores, limits, wanted)


def densities(
    spec: ModelSpec, graph: ChannelGraph, limits: Limits, kind: Literal["macs", "params", "latency"]
) -> dict[str, float]:
    """Return what a unit of each group that may lose one costs of the target, over what it costs of the rest.

    For a target of MACs or of latency that is MACs over parameters, for one of parameters the inverse.

    Args:
        spec: of the network.
        graph: its groups.
        limits: what may be cut.
        kind: of the target.
    """
    whole, found = cost(spec), {}
    for group in graph:
        if limits.allows(group):
            less = cost(narrowed(spec, Kept(graph, {group.name: range(group.units - 1)})))
            macs, params = whole.macs - less.macs, whole.params - less.params
            found[group.name] = params / macs if kind == "params" else macs / params
    return found
