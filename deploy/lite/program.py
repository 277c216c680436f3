"""Programs in Paddle's framework.proto: those a bundle holds, and those Paddle Lite writes when asked for protobuf.

Field numbers are those of paddle/fluid/framework/framework.proto, unchanged from Paddle 1.8 to 3.3 and in Lite 2.12.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from deploy.inference.graph import Graph, Op, op_name
from deploy.lite.wire import BYTES, Field, fields, numbers, signed
from ppresnet.errors import CheckFailedError

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


def read_program(data: bytes, name: str) -> Program:
    """Return the program in the bytes of a `.pdmodel`.

    Raises:
        CheckFailedError: the bytes are something else; `name` says whose they are.
    """
    try:
        block = next(each.data for each in fields(data) if each.number == 1)
        parts = list(fields(block))
        ops = tuple(_op(each.data) for each in parts if each.number == 4)
        variables = [_variable(each.data) for each in parts if each.number == 3]
    except (StopIteration, ValueError, UnicodeDecodeError, struct.error) as error:
        raise CheckFailedError(f"{name} is no Paddle program: {error or 'it has no block'}") from error
    return Program(ops, {name: shape for name, shape, persistable in variables if persistable})


def kernels_in(nb: bytes) -> Counter[tuple[str, str, str]]:
    """Return how often each (operator, target, precision) stands in the program of an `.nb`."""
    found = Counter(_KERNEL_BYTES.findall(nb))
    counts: Counter[tuple[str, str, str]] = Counter()
    for (op, target, precision, _), count in found.items():
        where, what = int(target), int(precision)
        counts[op.decode(), TARGETS.get(where, str(where)), PRECISIONS.get(what, str(what))] += count
    return counts


def _op(data: bytes) -> LiteOp:
    name = ""
    inputs: dict[str, tuple[str, ...]] = {}
    outputs: dict[str, tuple[str, ...]] = {}
    attributes: dict[str, Any] = {}
    for part in fields(data):
        if part.number == 3:
            name = part.data.decode()
        elif part.number in (1, 2):
            role, names = _arguments(part.data)
            (inputs if part.number == 1 else outputs)[role] = names
        elif part.number == 4:
            key, value = attribute(part.data)
            attributes[key] = value
    return LiteOp(name, inputs, outputs, attributes)


def _arguments(data: bytes) -> tuple[str, tuple[str, ...]]:
    parts = list(fields(data))
    role = next(part.data.decode() for part in parts if part.number == 1)
    return role, tuple(part.data.decode() for part in parts if part.number == 2)


def attribute(data: bytes) -> tuple[str, Any]:
    """Return name and value of an `OpDesc.Attr`; kinds that no operator here has are None."""
    name = ""
    value: Any = None
    several: list[float] = []
    for part in fields(data):
        if part.number == 1:
            name = part.data.decode()
        elif part.number in (3, 13) and isinstance(part.value, int):
            value = signed(part.value)
        elif part.number == 10:
            value = bool(part.value)
        elif part.number == 4:
            value = struct.unpack("<f", part.data)[0]
        elif part.number == 5:
            value = part.data.decode()
        elif part.number in (6, 7, 15):
            several += _several(part)
    return name, tuple(several) if several else value


def _several(part: Field) -> Iterable[float]:
    if part.number == 7:
        return struct.unpack(f"<{len(part.data) // 4}f", part.data)
    if part.kind == BYTES:
        return numbers(part.data)
    return [signed(part.value)] if isinstance(part.value, int) else []


def _variable(data: bytes) -> tuple[str, tuple[int, ...], bool]:
    name, shape, persistable = "", [], False
    for part in fields(data):
        if part.number == 1:
            name = part.data.decode()
        elif part.number == 3:
            persistable = bool(part.value)
        elif part.number == 2:
            # VarType.lod_tensor.tensor.dims
            for tensor in (each for each in fields(part.data) if each.number == 3):
                for inner in (each for each in fields(tensor.data) if each.number == 1):
                    for dims in (each for each in fields(inner.data) if each.number == 2):
                        shape += [int(each) for each in _several(Field(15, dims.kind, dims.value))]
    return name, tuple(shape), persistable
