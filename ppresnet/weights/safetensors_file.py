"""Safetensors: a JSON header and bytes, of every floating-point type that networks are published in."""

from __future__ import annotations

from collections.abc import Mapping

from safetensors import SafetensorError, deserialize

from ppresnet.errors import WeightsError
from ppresnet.weights.array import LazyArray
from ppresnet.weights.storage import BFLOAT16, Storage

_DTYPES: Mapping[str, str] = {
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "BF16": BFLOAT16,
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "BOOL": "bool",
}


def is_safetensors(head: bytes, size: int) -> bool:
    """Return whether a file that begins so, of so many bytes, has a safetensors header."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8


def read_safetensors(data: bytes) -> dict[str, LazyArray]:
    """Return the tensors, not yet converted.

    Raises:
        WeightsError: the header is broken, or a type of elements is unknown.
    """
    try:
        entries = deserialize(data)  # type: ignore[no-untyped-call]
    except (SafetensorError, UnicodeDecodeError) as error:
        raise WeightsError(f"it is no sound safetensors file: {str(error)[:200]}") from error
    return {name: _array(entry["dtype"], entry["shape"], entry["data"]) for name, entry in entries}


def _array(dtype: str, shape: list[int], content: bytes) -> LazyArray:
    if dtype not in _DTYPES:
        raise WeightsError(f"a tensor has elements of {dtype}; expected one of {', '.join(_DTYPES)}")
    size = Storage(_DTYPES[dtype], 0, bytes).numpy_dtype.itemsize
    return LazyArray(Storage(_DTYPES[dtype], len(content) // size, lambda: content), shape)
