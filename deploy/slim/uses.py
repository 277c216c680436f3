"""What is known of a value, and what a tensor's positions are to a slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deploy.slim.slots import Labels

Role = Literal["rows", "bias", "scale", "shift", "statistics", "columns"]


@dataclass(frozen=True)
class Value:
    """What is known of a value.

    Attributes:
        labels: the slot of each element, int64 of the value's rank; an axis along which nothing changes has length 1.
        zero: whether the elements of a masked slot are zero.
        layer: the convolution or linear layer of which this is the bare output.
    """

    labels: Labels
    zero: bool = True
    layer: str | None = None


@dataclass
class Use:
    """That the positions along one axis of a tensor belong to slots.

    Attributes:
        tensor: structured name.
        axis: of the tensor.
        labels: slot of each position, int64 [length of the axis].
        role: `rows` and `bias` of a convolution or linear layer give its outputs, `columns` take its inputs; `scale`,
            `shift` and `statistics` belong to a normalisation or another factor or summand for each channel.
        norm: the normalisation that takes the bare output of these rows, if there is one.
    """

    tensor: str
    axis: int
    labels: Labels
    role: Role
    norm: str | None = None
