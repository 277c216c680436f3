"""What stays of a network: which positions of which tensors, and the widths that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from deploy.slim.groups import ChannelGraph, Group, Unit
from ppresnet.errors import RequestError
from ppresnet.layers.norm import groups_of

Positions = NDArray[np.bool_]


class Kept:
    """A choice of units, seen from the tensors.

    Args:
        graph: the groups.
        keep: units that stay, ascending, by the name of the group; a group that is not named stays whole.

    Raises:
        RequestError: a group cannot be cut, or its units are not some of those it has.
    """

    def __init__(self, graph: ChannelGraph, keep: Mapping[str, Sequence[int]]) -> None:
        self.graph = graph
        self._stays = {name: _stays(graph, name, units) for name, units in keep.items()}

    def positions(self, tensor: str, axis: int) -> Positions:
        """Return which positions along an axis stay, bool [length].

        Raises:
            KeyError: no group knows the axis.
        """
        members = self.graph.by_axis[tensor, axis]
        stays = np.ones(len(members[0][1].units), bool)
        for name, member in members:
            if name in self._stays:
                mine = member.units >= 0
                stays[mine] = self._stays[name][member.units[mine]]
        return stays

    def width(self, tensor: str, axis: int = 0) -> int:
        """Return the length of an axis that is left."""
        return int(self.positions(tensor, axis).sum())

    def changed(self) -> dict[str, dict[int, Positions]]:
        """Return the positions that stay, by tensor and axis, of every axis that loses some."""
        found: dict[str, dict[int, Positions]] = {}
        for tensor, axis in self.graph.by_axis:
            stays = self.positions(tensor, axis)
            if not stays.all():
                found.setdefault(tensor, {})[axis] = stays
        return found

    def pad_before(self, pick: str) -> int | None:
        """Return the channels that an option-A skip puts before its input, None where that is the half of all it puts.

        Channels that the skip carries are one with those it becomes, so they stay in one row.
        """
        before, carried, units = self.graph.picks[pick]
        start, end = self._left(units[:before]), self._left(units[before + carried :])
        return None if start == (start + end) // 2 else start

    def norm_groups(self) -> tuple[tuple[str, int], ...]:
        """Return name and groups of every GroupNorm that no longer has as many as the rule for its width gives."""
        left = {name: self._left(units) for name, units in self.graph.norm_groups.items()}
        return tuple(
            (name, groups) for name, groups in left.items() if groups != groups_of(self.width(f"{name}.weight"))
        )

    def _left(self, units: Sequence[Unit]) -> int:
        return sum(name not in self._stays or bool(self._stays[name][number]) for name, number in units)


def _stays(graph: ChannelGraph, name: str, keep: Sequence[int]) -> Positions:
    group = _expect_group(graph, name)
    units = np.asarray(keep)
    ascending = units.ndim == 1 and units.size and units.dtype.kind == "i" and (np.diff(units) > 0).all()
    if not ascending or units[0] < 0 or units[-1] >= group.units:
        raise RequestError(
            f"group '{name}' has {group.units} units; expected at least one of them to stay, each named once, "
            f"ascending; found {list(keep)[:10]}"
        )
    return np.isin(np.arange(group.units), units)


def _expect_group(graph: ChannelGraph, name: str) -> Group:
    if name in graph.groups:
        return graph.groups[name]
    if name in graph.frozen:
        raise RequestError(f"group '{name}' cannot be cut: {graph.frozen[name].frozen}; leave it out of the plan")
    raise RequestError(f"the network has no channel group '{name}'; make the plan for this very network")
