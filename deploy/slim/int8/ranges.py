"""Ranges that oneDNN would cut in half.

Paddle's int8 convolution writes what it sums into the type of the residual (seen in 3.3.1). Where that is signed, as
behind a projection, and relu follows, it still scales for unsigned values, so that all above half of the range is lost.
Told twice the range, it loses nothing but the last bit of these values.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.inference.graph import Graph, Op
from deploy.inference.program import read_graph
from ppresnet.bundle import PARAMS, PDMODEL
from ppresnet.errors import CheckFailedError
from ppresnet.export.params import read_params

_UNSIGNED = ("relu", "relu6")
_HEADER, _LENGTH = 20, struct.Struct("<i")


def halved(graph: Graph) -> tuple[str, ...]:
    """Return the scales of values that oneDNN would cut off at half their range."""
    found = []
    for op in graph.live:
        if op.type in _UNSIGNED and (added := _maker(graph, op.inputs[0])) is not None and added.type == "add":
            addends = [value for value in added.inputs if not graph.is_constant(value)]
            if len(addends) == 2 and not any(_unsigned(graph, value) for value in addends):
                found += [user.inputs[0] for user in graph.users(op.outputs[0]) if user.type == "quantize_linear"]
    return tuple(dict.fromkeys(found))


def widen(directory: Path) -> tuple[str, ...]:
    """Double these ranges in the parameters of a quantised program, and return their names.

    Raises:
        BundleError: the parameters cannot be read.
    """
    graph = read_graph(directory / PDMODEL)
    names = halved(graph)
    data, at = bytearray((directory / PARAMS).read_bytes()), 0
    tensors = named_tensors(graph, directory / PARAMS)
    for name, tensor in tensors.items():
        start = at + _HEADER + _LENGTH.unpack_from(data, at + _HEADER - _LENGTH.size)[0]
        at = start + tensor.nbytes
        if name in names:
            data[start:at] = np.add(tensor, tensor).tobytes()
    (directory / PARAMS).write_bytes(data)
    return names


def named_tensors(graph: Graph, params: Path) -> dict[str, NDArray[np.generic]]:
    """Return the parameters of a program by name: their file has them in the order of their names.

    Raises:
        BundleError: the file cannot be read.
        CheckFailedError: it has another number of tensors.
    """
    names = sorted(name for name in graph.parameters if name not in ("feed", "fetch"))
    tensors = read_params(params)
    if len(names) != len(tensors):
        raise CheckFailedError(f"{params} has {len(tensors)} tensors, expected {len(names)}; quantise again")
    return dict(zip(names, tensors, strict=True))


def _maker(graph: Graph, value: str) -> Op | None:
    """Return the operator behind a value and its quantisers."""
    op = graph.producer.get(value)
    while op is not None and op.type in ("quantize_linear", "dequantize_linear"):
        op = graph.producer.get(op.inputs[1])
    return op


def _unsigned(graph: Graph, value: str) -> bool:
    """Return whether a value cannot be negative because a relu made it."""
    op = _maker(graph, value)
    while op is not None and op.type == "pool2d":
        op = _maker(graph, op.inputs[0])
    return op is not None and op.type in _UNSIGNED
