"""Reads `inference.pdiparams` as plain data, without Paddle, to check what was written.

The file is a row of tensors without names, ordered by name (Paddle 2.6 to 3.3, `save_combine`). Each is: uint32 version
0, uint64 levels 0, uint32 version 0, int32 length of a protobuf `TensorDesc` (field 1 the data type, field 2 each
dimension), that description, and the raw little-endian data.
"""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppresnet.bundle import JSON, PARAMS
from ppresnet.errors import BundleError

# Codes of VarType.Type in Paddle's framework.proto; bfloat16 (22) is kept as its bits.
DTYPES: Mapping[int, str] = {
    0: "?",
    1: "<i2",
    2: "<i4",
    3: "<i8",
    4: "<f2",
    5: "<f4",
    6: "<f8",
    20: "|u1",
    21: "|i1",
    22: "<u2",
}
_HEADER = struct.Struct("<IQIi")


def read_params(path: Path) -> list[NDArray[np.generic]]:
    """Return the tensors of a `.pdiparams` file in its order.

    Raises:
        BundleError: the file ends too early or is of another kind.
    """
    data = path.read_bytes()
    tensors, at = [], 0
    try:
        while at < len(data):
            tensor, at = _tensor(data, at)
            tensors.append(tensor)
    except (struct.error, ValueError, LookupError) as error:
        raise BundleError(f"{path} is cut off or no parameter file, at byte {at}: {error}; export it again") from error
    return tensors


def named_params(directory: Path) -> dict[str, NDArray[np.generic]]:
    """Return the tensors of a bundle by parameter name, or by position where the bundle has no `.json` to name them.

    Raises:
        BundleError: the parameters cannot be read.
    """
    tensors = read_params(directory / PARAMS)
    names = _names(directory / JSON) if (directory / JSON).is_file() else []
    if len(names) != len(tensors):
        names = [f"tensor_{index:04d}" for index in range(len(tensors))]
    return dict(zip(names, tensors, strict=True))


def _names(program: Path) -> list[str]:
    """Return the sorted names of the parameter operators (`"#": "p"`, name fourth in "A") of a PIR program."""
    try:
        operators = json.loads(program.read_bytes())["program"]["regions"][0]["blocks"][0]["ops"]
        return sorted(operator["A"][3] for operator in operators if operator["#"] == "p")
    except (ValueError, LookupError, TypeError):
        return []


def _tensor(data: bytes, at: int) -> tuple[NDArray[np.generic], int]:
    version, levels, tensor_version, length = _HEADER.unpack_from(data, at)
    if (version, levels, tensor_version) != (0, 0, 0) or length < 2:
        raise ValueError(f"unknown versions {(version, levels, tensor_version)}")
    start = at + _HEADER.size
    fields = _varints(data[start : start + length], length)
    (code,) = (value for tag, value in fields if tag == 0x08)
    shape = tuple(value for tag, value in fields if tag == 0x10)
    count = math.prod(shape)
    dtype = np.dtype(DTYPES[code])
    body = start + length
    if body + count * dtype.itemsize > len(data):
        raise ValueError(f"a tensor of shape {list(shape)} goes past the end")
    return np.frombuffer(data, dtype, count, body).reshape(shape), body + count * dtype.itemsize


def _varints(data: bytes, length: int) -> list[tuple[int, int]]:
    """Return (tag, value) of a protobuf message that has varint fields only."""
    if len(data) != length:
        raise ValueError("the description of a tensor goes past the end")
    numbers, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(value)
            value, shift = 0, 0
    return list(zip(numbers[::2], numbers[1::2], strict=True))
