"""A program as a graph of operators, with one name for each operator in all dialects."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

# One name for one thing: dialects, oneDNN and in-place variants aside.
NAMES = {
    "elementwise_add": "add",
    "fused_elementwise_add": "add",
    "gelu_erf": "gelu",
    "gelu_tanh": "gelu",
    "hardswish": "hard_swish",
    "depthwise_conv2d": "conv2d",
    "conv2d_fusion": "fused_conv2d_add_act",
}
SOURCES = ("feed", "data")


@dataclass(frozen=True)
class Op:
    """One operator: its type, the values it takes and gives (an image first), and what a convolution does besides.

    `int8` is what oneDNN's passes decided for its kernel.
    """

    type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    filter: str | None = None
    residual: str | None = None
    act: str | None = None
    depthwise: bool = False
    int8: bool = False


@dataclass(frozen=True)
class Graph:
    """The operators in topological order, the parameter behind each parameter value, and where data comes in."""

    ops: tuple[Op, ...]
    parameters: Mapping[str, str]

    @cached_property
    def producer(self) -> dict[str, Op]:
        """The operator that gives each value."""
        return {value: op for op in self.ops for value in op.outputs}

    @cached_property
    def live(self) -> tuple[Op, ...]:
        """The operators that depend on the input; the others are constants, which are folded before anything runs."""
        return tuple(
            op for op in self.ops if op.type not in (*SOURCES, "fetch") and self._live_values.intersection(op.inputs)
        )

    @cached_property
    def _live_values(self) -> set[str]:
        reached: set[str] = set()
        for op in self.ops:
            if op.type in SOURCES or reached.intersection(op.inputs):
                reached.update(op.outputs)
        return reached

    @cached_property
    def _users(self) -> dict[str, list[Op]]:
        users: dict[str, list[Op]] = {}
        for op in self.live:
            for value in dict.fromkeys(op.inputs):
                users.setdefault(value, []).append(op)
        return users

    def users(self, value: str) -> list[Op]:
        """Return the live operators that take a value."""
        return self._users.get(value, [])

    def is_constant(self, value: str) -> bool:
        """Return whether a value does not depend on the input."""
        return value not in self._live_values

    def ancestors(self, value: str) -> set[str]:
        """Return every value that a value is computed from, itself included."""
        found, waiting = {value}, deque([value])
        while waiting:
            op = self.producer.get(waiting.popleft())
            new = set(op.inputs) - found if op else set()
            found |= new
            waiting.extend(new)
        return found

    def sources(self, value: str) -> set[str]:
        """Return the parameters a value is computed from; a folded BatchNorm adds its own to those of a filter."""
        return {self.parameters[each] for each in self.ancestors(value) if each in self.parameters}

    def counts(self) -> Counter[str]:
        """Return how many live operators there are of each type."""
        return Counter(op.type for op in self.live)


def op_name(raw: str) -> str:
    """Return the type in a name such as `onednn_op.fused_conv2d:7`, `pd_op.relu_:9` (in place) or `elementwise_add`."""
    name = raw.rsplit(":", 1)[0].rsplit(".", 1)[-1]
    name = name[:-1] if name.endswith("_") else name
    return NAMES.get(name, name)
