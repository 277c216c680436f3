"""Reading programs in Paddle's framework.proto: those a bundle holds, and those Paddle Lite writes as protobuf.

Field numbers are those of paddle/fluid/framework/framework.proto, unchanged from Paddle 1.8 to 3.3 and in Lite 2.12.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

from deploy.lite.program import LiteOp, Program
from deploy.lite.wire import BYTES, Field, fields, numbers, signed
from ppresnet.errors import CheckFailedError


def read_program(data: bytes, name: str) -> Program:
    """Return the program in the bytes of a `.pdmodel`.

    Raises:
        CheckFailedError: the bytes are something else; `name` says whose they are.
    """
    try:
        block = _first(data, 1, "block")
        parts = list(fields(block))
        ops = tuple(_op(each.data) for each in parts if each.number == 4)
        variables = [_variable(each.data) for each in parts if each.number == 3]
    except (ValueError, struct.error) as error:
        raise CheckFailedError(f"{name} is no Paddle program: {error}") from error
    return Program(ops, {name: shape for name, shape, persistable in variables if persistable})


def _first(data: bytes, number: int, what: str) -> bytes:
    """Return the first field of a number. Raises ValueError, as a StopIteration would end the generator it is in."""
    found = next((each for each in fields(data) if each.number == number), None)
    if found is None:
        raise ValueError(f"it has no {what}")
    return found.data


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
    role = _first(data, 1, "name of an argument").decode()
    return role, tuple(part.data.decode() for part in fields(data) if part.number == 2)


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
