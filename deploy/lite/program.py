"""What Paddle Lite made of a network: its operators, and the same as a graph that the fusion audit can walk."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from deploy.inference.graph import Graph, Op, op_name

KERNEL = "__@kernel_type_attr@__"
TARGETS = {1: "host", 2: "x86", 4: "arm", 5: "opencl"}
PRECISIONS = {1: "fp32", 2: "int8", 4: "any", 5: "fp16"}
CONVOLUTIONS = ("conv2d", "depthwise_conv2d", "sparse_conv2d", "conv2d_transpose")
# Sparse convolutions take the non-zero weights in place of the filter.
_FILTERS = ("Filter", "NonZeroWeights")
_SPARSE = "_nonzeros_output"
_FUSED_ADD = "fusion_elementwise_add_activation"
_KERNEL_BYTES = re.compile(rb"([a-z0-9_]+)/[A-Za-z0-9_]+/(\d+)/(\d+)/(\d+)")


@dataclass(frozen=True)
class LiteOp:
    """One operator as Lite runs it: arguments by role, the plain attributes, and the kernel that was chosen."""

    type: str
    inputs: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, tuple[str, ...]]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kernel(self) -> tuple[str, str]:
        """Target and precision of the kernel; empty before one was chosen."""
        parts = str(self.attributes.get(KERNEL, "")).split("/")
        if len(parts) != 5:
            return "", ""
        return TARGETS.get(int(parts[2]), parts[2]), PRECISIONS.get(int(parts[3]), parts[3])

    @property
    def act(self) -> str | None:
        """The activation that is applied by the operator itself."""
        if self.type == _FUSED_ADD or self.attributes.get("fuse_elementwise_op_type") == _FUSED_ADD:
            return str(self.attributes.get("act_type") or "relu")
        if self.attributes.get("with_act"):
            return str(self.attributes.get("act_type") or "relu")
        return None


@dataclass(frozen=True)
class Program:
    """The operators of the first block in order, and the shape of each parameter."""

    ops: tuple[LiteOp, ...]
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def convolutions(self) -> list[LiteOp]:
        """The convolutions of every kind."""
        return [op for op in self.ops if op.type in CONVOLUTIONS]

    @cached_property
    def counts(self) -> Counter[str]:
        """How many operators there are of each type, without feed and fetch."""
        return Counter(op.type for op in self.ops if op.type not in ("feed", "fetch"))

    @cached_property
    def graph(self) -> Graph:
        """The operators as a graph in which each value is given once: Lite uses the name of a dead value again."""
        current: dict[str, str] = {}
        ops = []
        for index, op in enumerate(self.ops):
            inputs = {role: tuple(current.get(name, name) for name in names) for role, names in op.inputs.items()}
            outputs = []
            for name in (name for names in op.outputs.values() for name in names):
                current[name] = f"{name}@{index}"
                outputs.append(current[name])
            roles = [inputs[role][0] for role in _FILTERS if inputs.get(role)]
            ops.append(
                Op(
                    type="add" if op.type == _FUSED_ADD else "conv2d" if op.type in CONVOLUTIONS else op_name(op.type),
                    inputs=tuple(name for names in inputs.values() for name in names),
                    outputs=tuple(outputs),
                    filter=roles[0] if op.type in CONVOLUTIONS and roles else None,
                    residual=next(iter(inputs.get("SecondInput", ())), None),
                    act=op.act,
                )
            )
        return Graph(tuple(ops), {name: name.removesuffix(_SPARSE) for name in self.shapes})


def kernels_in(nb: bytes) -> Counter[tuple[str, str, str]]:
    """Return how often each (operator, target, precision) stands in the program of an `.nb`."""
    found = Counter(_KERNEL_BYTES.findall(nb))
    counts: Counter[tuple[str, str, str]] = Counter()
    for (op, target, precision, _), count in found.items():
        where, what = int(target), int(precision)
        counts[op.decode(), TARGETS.get(where, str(where)), PRECISIONS.get(what, str(what))] += count
    return counts
