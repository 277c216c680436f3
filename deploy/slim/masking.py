"""Masking: weights with which chosen channels are zero, in a network that keeps its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from deploy.slim.groups import ChannelGraph

MASKED = ("rows", "bias", "scale", "shift")


def masked(
    weights: Mapping[str, np.ndarray], graph: ChannelGraph, gone: Mapping[str, Sequence[int]]
) -> dict[str, np.ndarray]:
    """Return weights with which the channels of units are zero behind every layer and normalisation that gives them.

    In evaluation and in training without dropout the network then computes what it computes without these units.

    Args:
        weights: by structured name.
        graph: of the network.
        gone: units by the name of their group.
    """
    result = dict(weights)
    for name, units in gone.items():
        for member in graph.groups[name].members:
            if member.role in MASKED:
                array = result[member.tensor].copy()
                np.moveaxis(array, member.axis, 0)[np.isin(member.units, units)] = 0
                result[member.tensor] = array
    return result
