"""Reading a program from `.pdmodel` or `.json` as a graph.

Seen in Paddle 2.6.2 and 3.3.1. Of a `.json` only what is needed is understood: `p` is a parameter, `#` the type, `I`
and `O` the values going in and out, `A` the attributes, `AT.D` the data of one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deploy.inference.graph import Graph, Op, op_name
from ppresnet.errors import CheckFailedError

PIR_INPUTS = {
    "conv2d": ("Input", "Filter"),
    "fused_conv2d": ("Input", "Filter", "Bias", "ResidualData"),
    "fused_conv2d_add_act": ("Input", "Filter", "Bias", "ResidualData"),
}
_KEPT = ("fuse_activation", "activation")
_KERNEL_TYPES = ("onednn_data_type", "mkldnn_data_type")
_DEPTHWISE = "depthwise_conv2d"


def read_graph(program: Path) -> Graph:
    """Return the graph of a `.pdmodel` or `.json` file.

    Raises:
        CheckFailedError: the program is not of a form known here.
    """
    try:
        return (
            _from_json(json.loads(program.read_bytes()))
            if program.suffix == ".json"
            else _from_pdmodel(program.read_bytes())
        )
    except (LookupError, TypeError, ValueError) as error:
        raise CheckFailedError(
            f"{program} is not a program this version can read ({error!r}); see CHANGELOG.md"
        ) from error


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
        # BatchNorm gives its image last, as `Y`, after statistics that it takes itself.
        outputs=tuple(_flat(op.output(name) for name in sorted(op.output_names(), key="Y".__ne__))),
        filter=next(iter(inputs.get("Filter", ())), None),
        residual=next(iter(inputs.get("ResidualData", ())), None),
        act=_act(acts),
        depthwise=op.type() == _DEPTHWISE,
        int8=any(op.has_attr(name) and op.attr(name) == "int8" for name in _KERNEL_TYPES),
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
        depthwise=_DEPTHWISE in entry["#"],
    )


def _act(found: Iterable[Any]) -> str | None:
    names = [op_name(str(act)) for act in found if act and act != "identity"]
    return names[0] if names else None


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _flat(lists: Iterable[Iterable[str]]) -> list[str]:
    return [value for each in lists for value in each]
