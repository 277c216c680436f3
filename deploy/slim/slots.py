"""Channel slots, and which of them can only go together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]

NONE = 0  # the label of what is no channel, such as a constant


class Slots:
    """Union-find over channel slots: one slot for each output channel of a layer, joined where they are added."""

    def __init__(self) -> None:
        self._parent: list[int] = [NONE]
        self._frozen: list[tuple[Labels, str]] = []
        self._trunk: list[Labels] = []

    def new(self, count: int) -> Labels:
        """Return the labels of fresh slots, int64 [count]."""
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return np.arange(first, first + count)

    def join(self, one: Labels, other: Labels) -> None:
        """Make slots go together, pair by pair (numpy broadcasting); a pair with `NONE` is left alone."""
        pairs = np.stack([side.ravel() for side in np.broadcast_arrays(one, other)], axis=1)
        for left, right in np.unique(pairs[(pairs != NONE).all(axis=1)], axis=0).tolist():
            self._parent[self._root(left)] = self._root(right)

    def freeze(self, labels: Labels, reason: str) -> None:
        """Keep slots, and all that are joined to them, whatever a plan says; the first reason given is told."""
        self._frozen.append((np.unique(labels[labels != NONE]), reason))

    def mark_trunk(self, labels: Labels) -> None:
        """Note that slots are the result of an addition."""
        self._trunk.append(np.unique(labels))

    def roots(self, labels: Labels) -> Labels:
        """Return one label for all slots that go together; same shape."""
        found, inverse = np.unique(labels, return_inverse=True)
        return np.array([self._root(label) for label in found.tolist()], np.int64)[inverse].reshape(labels.shape)

    def frozen(self) -> dict[int, str]:
        """Return the reason for each root that is frozen."""
        reasons: dict[int, str] = {}
        for labels, reason in self._frozen:
            for root in self.roots(labels).tolist():
                reasons.setdefault(root, reason)
        return reasons

    def trunk(self) -> set[int]:
        """Return the roots that are the result of an addition."""
        return {root for labels in self._trunk for root in self.roots(labels).tolist()}

    def _root(self, label: int) -> int:
        while (parent := self._parent[label]) != label:
            self._parent[label] = self._parent[parent]
            label = parent
        return label
