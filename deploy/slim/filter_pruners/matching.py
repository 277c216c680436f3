"""What PaddleSlim groups and keeps against what our groups are: equal to the last position, or refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deploy.slim.filter_pruners.process import Answer
from deploy.slim.groups import Group, Member
from ppresnet.errors import CheckFailedError, RequestError

OWN = "let our own engine plan (--engine ppresnet)"
REMEDY = f"protect them, narrow the scope, or {OWN}"
Keep = dict[str, tuple[int, ...]]


def kernels(group: Group) -> list[str]:
    """Return the tensors of which PaddleSlim may have made one the master."""
    return [member.tensor for member in group.members if member.role == "rows"]


def expect_grouped(groups: Sequence[Group], answer: Answer) -> None:
    """Check that PaddleSlim ties together what can only go together, and nothing else.

    Raises:
        RequestError: it cannot trace the network, or it groups some channels wrongly or not at all.
    """
    if not answer.collections and answer.failed:
        raise RequestError(f"PaddleSlim cannot take this network; {OWN}; it failed while {answer.failed}")
    wrong = {group.name: reason for group in groups if (reason := _unlike(group, answer))}
    if wrong:
        lines = "\n".join(f"  {name}: {reason}" for name, reason in wrong.items())
        raise RequestError(f"PaddleSlim cannot prune {len(wrong)} of {len(groups)} channel groups; {REMEDY}:\n{lines}")


def kept_units(group: Group, answer: Answer, count: int) -> tuple[int, ...]:
    """Return the units that PaddleSlim keeps of a group.

    Raises:
        CheckFailedError: it did nothing, kept another number, or cut the members at different channels.
    """
    if answer.failed:
        raise CheckFailedError(f"PaddleSlim could not prune; {OWN}; it failed while {answer.failed}")
    first, *others = ((member, _units(member, answer)) for member in group.members)
    if len(first[1]) != count:
        raise CheckFailedError(
            f"PaddleSlim was to keep {count} of the {group.units} units of group '{group.name}', and kept "
            f"{len(first[1])} in '{first[0].tensor}'; {REMEDY}"
        )
    for member, units in others:
        if units != first[1]:
            raise CheckFailedError(
                f"PaddleSlim cut group '{group.name}' differently in '{first[0].tensor}' and elsewhere: expected units "
                f"{_some(first[1])} along axis {member.axis} of '{member.tensor}', found {_some(units)}; {REMEDY}"
            )
    return first[1]


def _unlike(group: Group, answer: Answer) -> str:
    """Return how PaddleSlim's collection differs from a group, empty where it does not."""
    found = [each for each in answer.collections if each.master in kernels(group)]
    if not found:
        why = f" ({'; '.join(answer.remarks)})" if answer.remarks else ""
        return f"it has no collection for it{why}"
    if len(found) > 1:
        why = f"; its units are {group.channels_per_unit} channels each" if group.channels_per_unit > 1 else ""
        return f"it takes it for {len(found)}, of {', '.join(each.master for each in found)}{why}"
    mine = {(member.tensor, member.axis) for member in group.members}
    lacking, beyond = sorted(mine - found[0].members), sorted(found[0].members - mine)
    parts = []
    for what, axes in (("leaves out", lacking), ("takes in too", beyond)):
        if axes:
            more = f" and {len(axes) - 1} more" if len(axes) > 1 else ""
            parts.append(f"{what} axis {axes[0][1]} of {axes[0][0]}{more}")
    return f"it {' and '.join(parts)}" if parts else ""


def _units(member: Member, answer: Answer) -> tuple[int, ...]:
    """Return the units of which all positions stay; none where one is torn, all where the axis was not cut."""
    length = answer.shapes[member.tensor][member.axis]
    positions = answer.kept.get((member.tensor, member.axis), range(len(member.units)))
    units = np.unique(member.units[list(positions)])
    whole = (units >= 0).all() and len(positions) == np.isin(member.units, units).sum() == length
    return tuple(units.tolist()) if whole else ()


def _some(units: tuple[int, ...]) -> str:
    return f"{list(units[:8])}{' ...' if len(units) > 8 else ''}"
