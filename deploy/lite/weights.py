"""The parameters of a converted network as numbers: on a board Lite turns quantised weights back into floats.

So an x86 network with the very same rounded weights shows on this host what the board will answer. The layout is that
of `save_combine`: the tensors in the order of their names, each with its own description (framework.proto, TensorDesc).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.lite.program import Program
from deploy.lite.reader import read_program
from deploy.lite.wire import VARINT, Field, fields, message_of, numbers, signed
from ppresnet.errors import CheckFailedError

_TYPES = {1: np.int16, 2: np.int32, 3: np.int64, 4: np.float16, 5: np.float32, 20: np.uint8, 21: np.int8}
_FLOAT32 = 5
Tensors = dict[str, NDArray]


def read_weights(folder: Path) -> tuple[Program, Tensors]:
    """Return the program in a folder of Lite's protobuf form, and its parameters by name.

    Raises:
        CheckFailedError: the two do not belong together, or hold something unknown.
    """
    program = read_program((folder / "model").read_bytes(), str(folder / "model"))
    names = sorted(name for name in program.shapes if name not in ("feed", "fetch"))
    try:
        tensors = _parse((folder / "params").read_bytes())
    except (struct.error, ValueError, KeyError) as error:
        raise CheckFailedError(f"{folder / 'params'} has a layout that is not known here: {error}") from error
    if len(tensors) != len(names):
        raise CheckFailedError(f"{folder}: expected {len(names)} parameters, found {len(tensors)}")
    return program, dict(zip(names, tensors, strict=True))


def write_weights(path: Path, tensors: Mapping[str, NDArray]) -> None:
    """Write float32 parameters in the order of their names."""
    out = bytearray()
    for _, tensor in sorted(tensors.items()):
        extents = [Field(2, VARINT, extent) for extent in tensor.shape]
        description = message_of([Field(1, VARINT, _FLOAT32), *extents])
        out += struct.pack("<IQII", 0, 0, 0, len(description)) + description
        out += np.ascontiguousarray(tensor, "<f4").tobytes()
    path.write_bytes(out)


def as_on_board(program: Program, tensors: Tensors, precision: str) -> Tensors:
    """Return the parameters as float32 numbers, each with the value the board computes with.

    Args:
        program: its operators hold the scales.
        tensors: from `read_weights`.
        precision: `fp16` rounds what is float; quantised weights are recognised by their type.
    """
    scales = {
        name: np.asarray(op.attributes[f"{name}_quant_scale"], np.float32)
        for op in program.ops
        for names in op.inputs.values()
        for name in names
        if f"{name}_quant_scale" in op.attributes
    }
    found = {}
    for name, tensor in tensors.items():
        if name in scales:
            found[name] = tensor.astype(np.float32) * _shaped(scales[name], tensor)
        elif precision == "fp16" and tensor.dtype == np.float32:
            found[name] = tensor.astype(np.float16).astype(np.float32)
        else:
            found[name] = tensor.astype(np.float32)
    return found


def _shaped(scale: NDArray[np.float32], tensor: NDArray) -> NDArray[np.float32]:
    """Filters [out, in, h, w] have a scale per output, matrices [in, out] too, on the other axis."""
    axis = 1 if tensor.ndim == 2 else 0
    if len(scale) not in (1, tensor.shape[axis]):
        raise CheckFailedError(f"{len(scale)} scales for a parameter of shape {list(tensor.shape)}")
    return scale.reshape([-1 if each == axis else 1 for each in range(tensor.ndim)])


def _parse(data: bytes) -> list[NDArray]:
    tensors: list[NDArray] = []
    at = 0
    while at < len(data):
        version, levels, inner, size = struct.unpack_from("<IQII", data, at)
        if (version, levels, inner) != (0, 0, 0):
            raise ValueError(f"versions {version} and {inner}, {levels} levels at byte {at}")
        at += struct.calcsize("<IQII")
        kind, shape = _description(data[at : at + size])
        at += size
        count = int(np.prod(shape, dtype=np.int64))
        tensors.append(np.frombuffer(data, kind, count, at).reshape(shape))
        at += tensors[-1].nbytes
    return tensors


def _description(data: bytes) -> tuple[type, list[int]]:
    kind, shape = -1, []
    for part in fields(data):
        if part.number == 1 and isinstance(part.value, int):
            kind = part.value
        elif part.number == 2:
            shape += [signed(part.value)] if isinstance(part.value, int) else numbers(part.data)
    return _TYPES[kind], shape
