"""Importance from what no fit makes up for: Optimal Brain Surgeon, a whole unit at a time. Numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deploy.slim.groups import ChannelGraph, Group, Member
from deploy.slim.importance import Scores
from ppresnet.errors import RequestError

Rows = NDArray[np.float64]
ROUNDS = 64  # of a group, in each of which the same share of its units goes


@dataclass(frozen=True)
class Taker:
    """A layer that takes channels.

    Attributes:
        weight: float64 [inputs, outputs], each output times the root of how the loss depends on its square.
        inverse: of the mean squares of the inputs with a ridge, float64 [inputs, inputs].
        taps: inputs of one channel; a kernel of 3 x 3 has 9.
    """

    weight: Rows
    inverse: Rows
    taps: int


class _Side:
    """A taker that loses units of one group, and fits its weight anew each time."""

    def __init__(self, taker: Taker, member: Member) -> None:
        self._weight, self._inverse = taker.weight.copy(), taker.inverse.copy()
        mine = np.flatnonzero(member.units >= 0)
        positions = mine[np.argsort(member.units[mine], kind="stable")]
        inputs = positions[:, None] * taker.taps + np.arange(taker.taps)
        self.units = int(member.units.max()) + 1
        self._inputs = inputs.reshape(self.units, -1)

    def errors(self, units: NDArray[np.int64]) -> Scores:
        """Return what the outputs would miss without each of these units, float64 [units]."""
        inputs = self._inputs[units]
        blocks = self._inverse[inputs[:, :, None], inputs[:, None, :]]
        weight_UIO = self._weight[inputs]
        return np.asarray((weight_UIO * np.linalg.solve(blocks, weight_UIO)).sum(axis=(1, 2)))

    def remove(self, units: NDArray[np.int64]) -> None:
        """Let units go, and give to the others what they can do in their place."""
        gone = self._inputs[units].ravel()
        shares = np.linalg.solve(self._inverse[np.ix_(gone, gone)], self._inverse[gone])
        self._weight -= shares.T @ self._weight[gone]
        self._inverse -= self._inverse[:, gone] @ shares


def surgeon_scores(graph: ChannelGraph, takers: Mapping[str, Taker]) -> dict[str, Scores]:
    """Return for each unit of each group that can be cut the error that its removal adds; the lowest go first.

    Units go one after the other, the cheapest first; before each, the layers that take the group are fitted to what is
    left (Hassibi and Stork 1993; for structures Kurtic et al. 2023, arXiv:2302.04089). So of two equal channels one
    costs nothing and the other much. With `measured_takers` the errors are estimates of what the loss rises by, and
    those of different groups compare.

    Args:
        graph: the groups.
        takers: by layer name.

    Raises:
        RequestError: what takes a group cannot be fitted.
    """
    return {group.name: _eliminated(_sides(group, takers)) for group in graph}


def _sides(group: Group, takers: Mapping[str, Taker]) -> list[_Side]:
    taking = [(member, member.tensor.removesuffix(".weight")) for member in group.members if member.role == "columns"]
    sides = [_Side(takers[layer], member) for member, layer in taking if layer in takers]
    if not sides:
        raise RequestError(
            f"no layer that takes group '{group.name}' can be fitted, so obs cannot score it; expected a dense "
            "convolution or a linear layer; use another --importance, or protect the group"
        )
    return sides


def _eliminated(sides: Sequence[_Side]) -> Scores:
    units = sides[0].units
    scores, left, dearest = np.zeros(units), np.arange(units), 0.0
    while len(left):
        errors = np.sum([side.errors(left) for side in sides], axis=0)
        going = np.argsort(errors, kind="stable")[: -(-units // ROUNDS)]
        # Never below what went before, so that the order of the scores is that of going.
        scores[left[going]] = np.maximum(dearest, errors[going])
        dearest = scores[left[going]].max()
        for side in sides:
            side.remove(left[going])
        left = np.delete(left, going)
    return scores
