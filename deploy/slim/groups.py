"""Channel groups: which channels of a network can only go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deploy.slim.uses import Role

Units = NDArray[np.int64]
Unit = tuple[str, int]  # the name of a group and the number of a unit of it


@dataclass(frozen=True)
class Member:
    """One axis of one tensor that loses positions with the units of a group.

    Attributes:
        tensor: structured name.
        axis: of the tensor.
        role: what the positions are to the layer, see `Use`.
        units: unit of each position along the axis, int64 [length]; -1 where a position belongs to another group.
        norm: the normalisation that takes these rows and nothing else, if there is one.
    """

    tensor: str
    axis: int
    role: Role
    units: Units
    norm: str | None = None

    @property
    def per_unit(self) -> int:
        """Positions of one unit."""
        return int(np.count_nonzero(self.units == self.units.max()))

    def __repr__(self) -> str:
        kind = {"rows": "out", "columns": "in"}.get(self.role, self.role)
        each = f", {self.per_unit} a unit" if self.per_unit > 1 else ""
        return f"{self.tensor} {kind} ({np.count_nonzero(self.units >= 0)} of {len(self.units)}{each})"


@dataclass(frozen=True)
class Group:
    """Units that are alike, each a set of channels that goes or stays as a whole.

    A basic block with an identity skip, behind a stem of 4 channels, has two groups that can be cut. What the stem
    gives, what the block gives and what the classifier takes are added or read channel by channel, so they are one:

    >>> from deploy.slim.grouping import channel_graph
    >>> from ppresnet.spec import BlockSpec, ResNetSpec, StemSpec
    >>> block = BlockSpec(kind="basic", widths=(2, 4), skip="identity")
    >>> spec = ResNetSpec(name="worked", num_classes=3, stem=StemSpec(kind="cifar", width=4), stages=((block,),))
    >>> for group in channel_graph(spec):
    ...     print(group)
    stem.conv: 4 units, trunk
      stem.conv.weight out (4 of 4)
      stem.norm.weight scale (4 of 4)
      stem.norm.bias shift (4 of 4)
      stem.norm._mean statistics (4 of 4)
      stem.norm._variance statistics (4 of 4)
      stages.0.0.branch.0.conv.weight in (4 of 4)
      stages.0.0.branch.1.conv.weight out (4 of 4)
      stages.0.0.branch.1.norm.weight scale (4 of 4)
      stages.0.0.branch.1.norm.bias shift (4 of 4)
      stages.0.0.branch.1.norm._mean statistics (4 of 4)
      stages.0.0.branch.1.norm._variance statistics (4 of 4)
      head.fc.weight in (4 of 4)
    stages.0.0.branch.0.conv: 2 units, internal
      stages.0.0.branch.0.conv.weight out (2 of 2)
      stages.0.0.branch.0.norm.weight scale (2 of 2)
      stages.0.0.branch.0.norm.bias shift (2 of 2)
      stages.0.0.branch.0.norm._mean statistics (2 of 2)
      stages.0.0.branch.0.norm._variance statistics (2 of 2)
      stages.0.0.branch.1.conv.weight in (2 of 2)

    Attributes:
        name: the layer that first gives these channels.
        units: how many.
        trunk: whether they are the result of an addition.
        members: every axis that loses positions with them, in the order the network runs.
        frozen: why the group cannot be cut, empty where it can.
    """

    name: str
    units: int
    trunk: bool
    members: tuple[Member, ...]
    frozen: str = ""

    @property
    def channels_per_unit(self) -> int:
        """Channels that one unit takes from the layers it touches most; more than 1 for grouped convolutions."""
        return max(member.per_unit for member in self.members if member.role != "columns")

    def __str__(self) -> str:
        state = f"frozen: {self.frozen}" if self.frozen else "trunk" if self.trunk else "internal"
        return "\n".join([f"{self.name}: {self.units} units, {state}", *(f"  {member!r}" for member in self.members)])

    def __repr__(self) -> str:
        state = "frozen" if self.frozen else "trunk" if self.trunk else "internal"
        return f"<Group {self.name}: {self.units} units in {len(self.members)} tensors, {state}>"


@dataclass(frozen=True)
class ChannelGraph:
    """All groups of a network.

    Attributes:
        groups: those that can be cut, by name.
        frozen: the others, by name, each with its reason.
        picks: by the name of an option-A skip's fixed kernel how many zero channels it puts before its input, how many
            channels that has, and the unit behind each channel that comes out.
        norm_groups: by layer name the unit behind each group of a GroupNorm.
        untouched: tensors of a checkpoint that the network does not use.
    """

    groups: Mapping[str, Group]
    frozen: Mapping[str, Group]
    picks: Mapping[str, tuple[int, int, tuple[Unit, ...]]] = field(default_factory=dict)
    norm_groups: Mapping[str, tuple[Unit, ...]] = field(default_factory=dict)
    untouched: tuple[str, ...] = ()

    @cached_property
    def by_axis(self) -> dict[tuple[str, int], list[tuple[str, Member]]]:
        """Every group that has positions along an axis of a tensor, frozen ones too, by tensor and axis."""
        found: dict[tuple[str, int], list[tuple[str, Member]]] = {}
        for group in (*self.groups.values(), *self.frozen.values()):
            for member in group.members:
                found.setdefault((member.tensor, member.axis), []).append((group.name, member))
        return found

    def __iter__(self) -> Iterator[Group]:
        return iter(self.groups.values())

    def __repr__(self) -> str:
        lines = [repr(group) for group in self]
        lines += [f"{group!r}: {group.frozen}" for group in self.frozen.values()]
        return "\n".join([f"<ChannelGraph of {len(self.groups)} groups, {len(self.frozen)} frozen>", *lines])
