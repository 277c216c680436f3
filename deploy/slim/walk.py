"""The walk through a trace that finds out which channels each value and each tensor has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from deploy.slim.slots import NONE, Labels, Slots
from deploy.slim.tracing import Operator, Trace
from deploy.slim.uses import Role, Use, Value

Rule = Callable[["Walk", Operator], None]


@dataclass
class Walk:
    """Applies the rule of each operator in turn; an operator without one freezes what it touches, and is told."""

    trace: Trace
    rules: Mapping[str, Rule]
    slots: Slots = field(default_factory=Slots)
    uses: list[Use] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    picks: dict[str, tuple[int, Labels]] = field(default_factory=dict)
    """Zero channels before the input of each option-A skip, and the slots it gives, by the name of its fixed kernel."""
    norm_groups: dict[str, Labels] = field(default_factory=dict)
    """Slots of each GroupNorm, int64 [groups, channels of a group], by layer name."""
    fixed: set[str] = field(default_factory=set)
    """Values computed from parameters alone."""

    def run(self) -> Walk:
        """Return this walk, done."""
        for name in self.trace.inputs:
            self.values[name] = Value(self._frozen(len(self.shape(name)), "it is the image"), zero=False)
        for op in self.trace.operators:
            self.rules.get(op.type, refuse)(self, op)
            if all(self.is_fixed(name) for names in op.inputs.values() for name in names):
                self.fixed.update(name for names in op.outputs.values() for name in names)
        for name in self.trace.outputs:
            self.slots.freeze(self.values[name].labels, "it is the output of the network")
        return self

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a value, with a batch of 1."""
        return self.trace.shapes[name]

    def tensor(self, name: str) -> str | None:
        """Return the structured name of a parameter or buffer, None for what is computed."""
        return self.trace.names.get(name)

    def is_fixed(self, name: str) -> bool:
        """Return whether a value is a parameter or computed from parameters alone."""
        return name in self.fixed or name in self.trace.names

    def use(self, name: str, axis: int, labels: Labels, role: Role) -> None:
        """Note the slots of a tensor; what no checkpoint holds is not noted."""
        tensor = self.tensor(name)
        if tensor in self.trace.state:
            self.uses.append(Use(str(tensor), axis, labels, role))

    def value(self, name: str) -> Value:
        """Return what is known of a value; a tensor with one axis gets slots of its own, another one none."""
        if name not in self.values:
            self.values[name] = self._constant(name)
        return self.values[name]

    def channels(self, name: str, axis: int = 1) -> Labels:
        """Return the slot of each channel of a value, int64 [channels]; freezes what is not laid out by channels."""
        labels = self.value(name).labels
        axis %= labels.ndim
        length = self.shape(name)[axis]
        if labels.size != labels.shape[axis]:
            reason = f"an operator takes it by axis {axis}, along which its channels do not lie"
            return np.full(length, self._frozen(1, reason, labels)[0])
        return np.broadcast_to(labels.ravel(), length).copy()

    def give(self, name: str, labels: Labels, zero: bool = True, layer: str | None = None) -> None:
        """Note what an operator gives."""
        self.values[name] = Value(compressed(labels), zero, layer)

    def freeze(self, name: str, reason: str) -> None:
        """Freeze the slots of a value."""
        self.slots.freeze(self.value(name).labels, reason)

    def unknown(self, name: str, reason: str) -> None:
        """Note a value whose channels are not known, so that nothing that takes it can be cut."""
        self.values[name] = Value(self._frozen(len(self.shape(name)), reason), zero=False)

    def _frozen(self, rank: int, reason: str, joined: Labels | None = None) -> Labels:
        slot = self.slots.new(1)
        self.slots.freeze(slot if joined is None else np.append(slot, joined), reason)
        return slot.reshape((1,) * rank)

    def _constant(self, name: str) -> Value:
        shape = self.shape(name)
        labels = np.full((1,) * len(shape), NONE, np.int64)
        long = [axis for axis, length in enumerate(shape) if length > 1]
        if self.tensor(name) not in self.trace.state:
            return Value(labels, zero=False)
        long = long or [len(shape) - 1]
        if len(long) > 1:
            return Value(self._frozen(len(shape), f"'{self.tensor(name)}' is used as a whole"), zero=False)
        fresh = self.slots.new(shape[long[0]])
        self.use(name, long[0], fresh, "shift")
        return Value(np.expand_dims(fresh, [axis for axis in range(len(shape)) if axis != long[0]]))


def refuse(walk: Walk, op: Operator) -> None:
    """Freeze everything that an operator takes and gives."""
    reason = f"the operator '{op.type}' is not understood"
    for name in (name for names in op.inputs.values() for name in names):
        walk.freeze(name, reason)
    for name in (name for names in op.outputs.values() for name in names):
        if name in walk.trace.shapes:
            walk.unknown(name, reason)


def compressed(labels: Labels) -> Labels:
    """Return the labels with every axis along which nothing changes brought to length 1."""
    for axis in range(labels.ndim):
        first = labels.take([0], axis)
        if labels.shape[axis] > 1 and (labels == first).all():
            labels = first
    return labels
