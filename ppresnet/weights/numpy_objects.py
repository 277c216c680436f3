"""Numpy arrays as they lie in pickles, of numpy 1 and 2 and of every protocol from 2 on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from ppresnet.errors import WeightsError
from ppresnet.weights.array import LazyArray, row_major
from ppresnet.weights.storage import BFLOAT16, Buffer, Storage
from ppresnet.weights.vocabulary import Ignored, Name, Restorable, Vocabulary

_KINDS = {"f": "float", "i": "int", "u": "uint"}


class PickledDtype(Restorable):
    """The type of elements, such as `f4`; its byte order comes with BUILD."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        code = arguments[0] if arguments else None
        if not isinstance(code, str) or not code:
            raise WeightsError("a numpy array in it has no type of elements")
        kind, digits = code.lstrip("<>|=")[:1], code.lstrip("<>|=")[1:3]
        self.name = f"{_KINDS[kind]}{int(digits) * 8}" if kind in _KINDS and digits.isdecimal() else code[:40]
        self.name = "bool" if code.endswith("b1") else self.name
        self.order: Literal["<", ">"] = ">" if code[0] == ">" else "<"

    def restore(self, state: Any) -> None:
        """Take the byte order from (version, order, subarray, names, fields, size, alignment, flags)."""
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise WeightsError("a numpy array in it has elements of several fields; expected numbers")
        if state[1] not in ("<", ">", "|", "="):
            raise WeightsError("a numpy array in it has an unknown byte order")
        self.order = ">" if state[1] == ">" else "<"


class PickledArray(Restorable):
    """An array whose shape, type and bytes come with BUILD."""

    def __init__(self, storage_dtype: Callable[[str], str]) -> None:
        self.array: LazyArray | None = None
        self._storage_dtype = storage_dtype

    def restore(self, state: Any) -> None:
        """Take the content from (version, shape, dtype, is in column-major order, bytes)."""
        if self.array is not None or not isinstance(state, tuple) or len(state) != 5:
            raise WeightsError("a numpy array in it is not built once, from five parts")
        _, shape, dtype, columns_first, content = state
        self.array = _array(shape, dtype, columns_first is True, content, self._storage_dtype)


def numpy_vocabulary(uint16_is_bfloat16: bool) -> Vocabulary:
    """Return the names that numpy arrays and scalars need.

    Args:
        uint16_is_bfloat16: as Paddle writes bfloat16.
    """

    def storage_dtype(name: str) -> str:
        return BFLOAT16 if uint16_is_bfloat16 and name == "uint16" else name

    def reconstruct(arguments: tuple[Any, ...]) -> PickledArray:
        if not arguments or not isinstance(arguments[0], Name) or arguments[0].text != "numpy.ndarray":
            raise WeightsError("a numpy array in it is of a class that is not numpy's")
        return PickledArray(storage_dtype)

    def from_buffer(arguments: tuple[Any, ...]) -> LazyArray:
        if len(arguments) != 4:
            raise WeightsError("a numpy array in it is not built from four parts")
        content, dtype, shape, order = arguments
        return _array(shape, dtype, order == "F", content, storage_dtype)

    return {
        "numpy.ndarray": None,
        "numpy.dtype": PickledDtype,
        "numpy.core.multiarray._reconstruct": reconstruct,
        "numpy.core.numeric._frombuffer": from_buffer,
        "numpy.core.multiarray.scalar": _scalar,
        "_codecs.encode": _encoded,
        "builtins.bytes": _empty,
    }


def _array(shape: Any, dtype: Any, columns_first: bool, content: Any, storage_dtype: Callable[[str], str]) -> LazyArray:
    if not isinstance(dtype, PickledDtype) or not isinstance(content, memoryview | str | bytes):
        raise WeightsError("a numpy array in it has no plain bytes; expected numbers, not Python objects")
    name = storage_dtype(dtype.name)
    size = Storage(name, 0, bytes).numpy_dtype.itemsize
    if len(content) % size:
        raise WeightsError(f"a numpy array of {name} in it has {len(content)} bytes")
    # In protocol 2 bytes are written as text, one character each.
    storage = Storage(name, len(content) // size, partial(_content, content), dtype.order)
    array = LazyArray(storage, shape)
    if array.size != storage.count:
        raise WeightsError(f"a numpy array of shape {list(array.shape)} in it has {storage.count} elements")
    return LazyArray(storage, shape, row_major(array.shape[::-1])[::-1]) if columns_first else array


def _content(content: Buffer | str) -> Buffer:
    try:
        return content.encode("latin-1") if isinstance(content, str) else content
    except UnicodeEncodeError as error:
        raise WeightsError("a numpy array in it has text where its bytes should be") from error


def _encoded(arguments: tuple[Any, ...]) -> str:
    if len(arguments) != 2 or not isinstance(arguments[0], str) or arguments[1] not in ("latin1", "latin-1"):
        raise WeightsError("its pickle encodes something other than Latin-1 text")
    return arguments[0]


def _empty(arguments: tuple[Any, ...]) -> bytes:
    if arguments:
        raise WeightsError("its pickle makes bytes of something; expected none")
    return b""


def _scalar(arguments: tuple[Any, ...]) -> Ignored:
    return Ignored()
