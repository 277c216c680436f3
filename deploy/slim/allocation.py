"""How many units each group keeps at a given strength, from 0 (all) to 1 (as few as allowed)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from math import gcd
from typing import Literal

import numpy as np

from deploy.slim.groups import ChannelGraph, Group
from deploy.slim.importance import Scores, relative
from ppresnet.errors import RequestError, did_you_mean

Counts = dict[str, int]
Curve = Sequence[tuple[float, float]]  # share that goes, points of accuracy (or loss) that it costs
Scope = Literal["all", "trunk", "internal"]


@dataclass(frozen=True)
class Limits:
    """What an allocation must respect.

    Attributes:
        round_to: kept channels are a multiple of this; a group of fewer channels stays whole.
        minimum: channels that a group keeps at least.
        scope: which groups lose channels: those that an addition couples, those within a branch, or all.
        trunk_share: the share that a trunk group loses, relative to the others, under `uniform` and `density`.
        protected: groups that stay whole: names, or patterns such as `stages.0.*`; a group with any matching tensor.
        most: the largest share of a group that may go.
    """

    round_to: int = 1
    minimum: int = 1
    scope: Scope = "all"
    trunk_share: float = 1.0
    protected: tuple[str, ...] = ()
    most: float = 0.9

    def allows(self, group: Group) -> bool:
        """Return whether a group may lose anything."""
        if group.units < 2 or self.scope not in ("all", "trunk" if group.trunk else "internal"):
            return False
        return not any(fnmatch(name, pattern) for pattern in self.protected for name in _names(group))

    def expect_names_in(self, graph: ChannelGraph) -> None:
        """Check that every pattern of `protected` names something.

        Raises:
            RequestError: one would protect nothing.
        """
        known = [name for group in (*graph.groups.values(), *graph.frozen.values()) for name in _names(group)]
        for pattern in self.protected:
            if not any(fnmatch(name, pattern) for name in known):
                raise RequestError(
                    f"'{pattern}' protects nothing: expected a group, a tensor or a pattern such as 'stages.0.*'"
                    f"{did_you_mean(pattern, known)}"
                )

    def rounded(self, group: Group, wanted: float) -> int:
        """Return the units to keep, near those wanted and within the limits."""
        channels = group.channels_per_unit
        step = self.round_to // gcd(self.round_to, channels)
        least = max(step, -(-self.minimum // channels), int(np.ceil(group.units * (1 - self.most) - 1e-9)), 1)
        least = -(-least // step) * step
        return (
            group.units if least >= group.units else int(min(max(int(wanted / step + 0.5) * step, least), group.units))
        )


def _names(group: Group) -> list[str]:
    return [group.name, *(member.tensor for member in group.members if member.role != "columns")]


@dataclass(frozen=True)
class Allocation:
    """A way to share the loss among groups.

    Attributes:
        graph: the groups.
        scores: of each unit, by group.
        limits: what is respected.
        wanted: gives the units that a group would keep at a strength, before rounding.
    """

    graph: ChannelGraph
    scores: Mapping[str, Scores]
    limits: Limits
    wanted: Callable[[Group, float], float] = field(repr=False)

    def counts(self, strength: float) -> Counts:
        """Return the units that each group keeps; groups that stay whole are left out."""
        counts = {}
        for group in self.graph:
            if self.limits.allows(group):
                kept = self.limits.rounded(group, self.wanted(group, strength) if strength > 0 else group.units)
                if kept < group.units:
                    counts[group.name] = kept
        return counts

    def keep(self, counts: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
        """Return the units with the highest scores, ascending, by group; of equals the first ones."""
        return {
            name: tuple(sorted(np.argsort(-self.scores[name], kind="stable")[:count].tolist()))
            for name, count in counts.items()
        }


def uniform(graph: ChannelGraph, scores: Mapping[str, Scores], limits: Limits) -> Allocation:
    """Take the same share from every group, and `trunk_share` of it from those of the trunk."""

    def wanted(group: Group, strength: float) -> float:
        return group.units * (1 - strength * (limits.trunk_share if group.trunk else 1.0))

    return Allocation(graph, scores, limits, wanted)


def ranked(
    graph: ChannelGraph, scores: Mapping[str, Scores], limits: Limits, compare: Literal["mean", "none"] = "mean"
) -> Allocation:
    """Take the units with the lowest scores of all groups; `mean` compares them relative to their group's mean."""
    alike = {group.name: relative(scores[group.name]) if compare == "mean" else scores[group.name] for group in graph}
    pool = np.sort(np.concatenate([alike[group.name] for group in graph if limits.allows(group)] or [np.zeros(1)]))

    def wanted(group: Group, strength: float) -> float:
        limit = pool[min(int(strength * len(pool)), len(pool) - 1)]
        return float((alike[group.name] >= limit).sum())

    return Allocation(graph, scores, limits, wanted)


def sensitive(
    graph: ChannelGraph, scores: Mapping[str, Scores], limits: Limits, curves: Mapping[str, Curve]
) -> Allocation:
    """Take from every group the share that costs the same, as measured.

    Args:
        graph: the groups.
        scores: of each unit, by group.
        limits: what is respected.
        curves: of each group, ascending by share.

    Raises:
        RequestError: a group that may be cut was not measured.
    """
    if missing := [group.name for group in graph if limits.allows(group) and not curves.get(group.name)]:
        raise RequestError(
            f"no sensitivity was measured for group '{missing[0]}' and {len(missing) - 1} more; "
            "run deploy/slim/sensitivity.py for this checkpoint, with larger --shares for small groups, or choose "
            "another allocation"
        )
    rising = {name: _rising(curve) for name, curve in curves.items() if curve}
    dearest = max((costs[-1] for _, costs in rising.values()), default=0.0)

    def wanted(group: Group, strength: float) -> float:
        shares, costs = rising[group.name]
        return group.units * (1 - float(np.interp(strength * dearest, costs, shares)))

    return Allocation(graph, scores, limits, wanted)


def _rising(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Return shares and costs from (0, 0) on; noise that makes a larger share look cheaper is levelled."""
    shares = np.array([0.0, *(share for share, _ in curve)])
    costs = np.maximum.accumulate(np.array([0.0, *(cost for _, cost in curve)]))
    return shares, costs + np.arange(len(costs)) * 1e-9
