"""The group that a tensor stands for: PaddleSlim answers to its master's name alone, we to that of every member."""

from __future__ import annotations

from collections.abc import Mapping

from deploy.slim.groups import ChannelGraph, Group
from ppresnet.errors import RequestError, did_you_mean


def group_of(graph: ChannelGraph, name: str) -> Group:
    """Return the group of that name, or the one whose channels a tensor gives or normalises.

    Raises:
        RequestError: there is none, or the tensor's channels belong to several.
    """
    if name in graph.groups:
        return graph.groups[name]
    found = [group for group in graph if any(m.tensor == name and m.role != "columns" for m in group.members)]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(group.name for group in found)
        raise RequestError(f"the channels of '{name}' belong to several groups; name one of them: {several}")
    known = [*graph.groups, *(member.tensor for group in graph for member in group.members)]
    why = f": {graph.frozen[name].frozen}" if name in graph.frozen else did_you_mean(name, known)
    raise RequestError(
        f"'{name}' is no channel group that can be cut, nor a tensor that gives the channels of one{why}"
    )


def by_group(graph: ChannelGraph, counts: Mapping[str, int]) -> dict[str, int]:
    """Return the units to keep by the name of the group, whatever member each was asked for by.

    Raises:
        RequestError: a name is not known, a count is out of range, or two differ on one group.
    """
    found: dict[str, int] = {}
    for name, count in counts.items():
        group = group_of(graph, name)
        if not 1 <= count < group.units:
            raise RequestError(
                f"'{name}': expected 1 to {group.units - 1} of {group.units} units to keep, found {count}"
            )
        if found.setdefault(group.name, count) != count:
            raise RequestError(
                f"'{name}' asks for {count} units of group '{group.name}', another name {found[group.name]}; ask once"
            )
    return found
