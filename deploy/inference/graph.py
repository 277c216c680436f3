"""A program as a graph of operators, read alike from `.pdmodel` and `.json`; the names of both dialects meet here.

Seen in Paddle 2.6.2 and 3.3.1. Of a `.json` only what is needed here is understood: `p` is a parameter, `#` the type, `I` and
`O` the values going in and out, `A` the attributes, `AT.D` the data of one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ppresnet.errors import CheckFailedError

# One name for one thing: dialects, oneDNN and in-place variants aside.
NAMES = {
    "elementwise_add": "add",
    "fused_elementwise_add": "add",

    "silu": "swish",
    "gelu_erf": "gelu",
    "gelu_tanh": "gelu",
    "depthwise_conv2d": "conv2d",
    "conv2d_fusion": "fused_conv2d_add_act",
}
PIR_INPUTS = {
    "conv2d": ("Input", "Filter"),
    "fused_conv2d": ("Input", "Filter", "Bias", "ResidualData"),
    "fused_conv2d_add_act": ("Input", "Filter", "Bias", "ResidualData"),
}
_KEPT = ("fuse_activation", "activation")


@dataclass(frozen=True)
class Op:
    """One operator: its type under one name for all dialects, the values it takes and gives, and the activation it fuses."""

    type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    filter: str | None = None
    residual: str | None = None
    act: str | None = None


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
        reached: set[str] = set()
        live = []
        for op in self.ops:
            if op.type in ("feed", "data") or reached.intersection(op.inputs):
                reached.update(op.outputs)
                live.append(op)
        return tuple(op for op in live if op.type not in ("feed", "data", "fetch"))

    def depends(self, value: str, on: str) -> bool:
        """Return whether a value is computed from another."""
        op = self.producer.get(value)
        return value == on or op is not None and any(self.depends(each, on) for each in op.inputs)

    def users(self, value: str) -> list[Op]:
        """Return the live operators that take a value."""
        return [op for op in self.live if value in op.inputs]

    def is_constant(self, value: str) -> bool:
        """Return whether a value does not depend on the input."""
        return all(value not in op.outputs for op in self.live) and (
            value in self.parameters or value in self.producer and self.producer[value].type not in ("feed", "data")
        )

    def sources(self, value: str) -> set[str]:
        """Return the names of the parameters a value is computed from; a folded BatchNorm adds its own to the filter's."""
        if value in self.parameters:
            return {self.parameters[value]}
        op = self.producer.get(value)
        return set().union(*(self.sources(each) for each in op.inputs)) if op else set()

    def counts(self) -> Counter[str]:
        """Return how many live operators there are of each type."""
        return Counter(op.type for op in self.live)


def op_name(raw: str) -> str:
    """Return the one name of an operator: `onednn_op.fused_conv2d:7`, `pd_op.relu_:9` and `relu` lose what is not the type."""
    name = raw.rsplit(":", 1)[0].rsplit(".", 1)[-1]
    name = name[:-1] if name.endswith("_") else name
    return NAMES.get(name, name)


def read_graph(program: Path) -> Graph:
    """Return the graph of a `.pdmodel` or `.json` file.

    Raises:
        CheckFailedError: the program is not of a form known here.
    """
    try:
        return _from_json(json.loads(program.read_bytes())) if program.suffix == ".json" else _from_pdmodel(program.read_bytes())
    except (LookupError, TypeError, ValueError) as error:
        raise CheckFailedError(f"{program} is not a program this version can read ({error!r}); see CHANGELOG.md") from error


def _from_pdmodel(data: bytes) -> Graph:
    from paddle.base import core

    program = core.ProgramDesc(data)  # a name of its own: the block does not keep it alive
    block = program.block(0)
    constants = {var.name(): var.name() for var in block.all_vars() if var.persistable()}
    return Graph(tuple(_old_op(block.op(index)) for index in range(block.op_size())), constants)


def _old_op(op: Any) -> Op:
    inputs = {name: op.input(name) for name in op.input_names()}
    acts = [op.attr(name) for name in _KEPT if op.has_attr(name)]
    return Op(
        type=op_name(op.type()),
        inputs=tuple(_flat(inputs.values())),
        outputs=tuple(_flat(op.output(name) for name in op.output_names())),
        filter=next(iter(inputs.get("Filter", ())), None),
        residual=next(iter(inputs.get("ResidualData", ())), None),
        act=_act(acts),
    )


def _from_json(program: Mapping[str, Any]) -> Graph:
    ops, parameters = [], {}
    for entry in program["program"]["regions"][0]["blocks"][0]["ops"]:
        outputs = tuple(str(value["%"]) for value in _list(entry.get("O", ())))
        if entry["#"] == "p":
            parameters[outputs[0]] = str(entry["A"][3])
        else:
            ops.append(_new_op(entry, outputs))
    return Graph(tuple(ops), parameters)


def _new_op(entry: Mapping[str, Any], outputs: tuple[str, ...]) -> Op:
    type = op_name(entry["#"])
    # An operand that is left out has the number 0.
    inputs = tuple(str(value["%"]) for value in _list(entry.get("I", ())))
    named = {name: value for name, value in zip(PIR_INPUTS.get(type, ()), inputs, strict=False) if value != "0"}
    attrs = {item["N"]: item["AT"].get("D") for item in entry.get("A", ()) if isinstance(item, dict) and "AT" in item}
    return Op(
        type=type,
        inputs=tuple(value for value in inputs if value != "0"),
        outputs=outputs,
        filter=named.get("Filter"),
        residual=named.get("ResidualData"),
        act=_act(attrs[name] for name in _KEPT if name in attrs),
    )


def _act(found: Iterable[Any]) -> str | None:
    names = [op_name(str(act)) for act in found if act and act != "identity"]
    return names[0] if names else None


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _flat(lists: Iterable[Iterable[str]]) -> list[str]:
    return [value for each in lists for value in each]
