"""The elements that a file holds, as bytes that are read when they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ppresnet.errors import WeightsError

Buffer = bytes | bytearray | memoryview
# bfloat16 lies in the file as its bits in uint16; numpy has no such type.
BFLOAT16 = "bfloat16"
WHOLE = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")
PLAIN = ("float16", "float32", "float64", *WHOLE)


@dataclass
class Storage:
    """Elements of one type, one after the other.

    Attributes:
        dtype: one of `PLAIN`, or bfloat16.
        count: of elements.
        read: gives the bytes, which must be as many as `count` elements have.
        order: `<` or `>`: the least or the most significant byte first.
    """

    dtype: str
    count: int
    read: Callable[[], Buffer]
    order: Literal["<", ">"] = "<"

    def __post_init__(self) -> None:
        if self.dtype not in (*PLAIN, BFLOAT16):
            raise WeightsError(f"a tensor has elements of {self.dtype[:40]!r}; expected one of {', '.join(PLAIN)}")
        if type(self.count) is not int or self.count < 0:
            raise WeightsError(f"a storage has {shown(self.count)} elements; expected a whole number from 0")

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The type of the elements as they lie in the file."""
        plain: np.dtype[Any] = np.dtype("uint16") if self.dtype == BFLOAT16 else np.dtype(self.dtype)
        ordered: np.dtype[Any] = plain.newbyteorder(self.order)
        return ordered

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.count * self.numpy_dtype.itemsize

    @cached_property
    def flat(self) -> np.ndarray:
        """The elements, read-only.

        Raises:
            WeightsError: there are more or fewer bytes than the elements need.
        """
        data = self.read()
        if len(data) != self.nbytes:
            raise WeightsError(
                f"a storage of {self.count} {self.dtype} elements needs {self.nbytes} bytes, the file has {len(data)}"
            )
        return np.frombuffer(data, self.numpy_dtype)


def shown(value: Any) -> str:
    """Return a short text of what a hostile file may have made endless."""
    if type(value) is int:
        return str(value) if abs(value) < 2**64 else "over 2**64"
    if isinstance(value, tuple | list):
        return f"[{', '.join(shown(item) if type(item) is int else type(item).__name__ for item in value[:8])}]"
    return type(value).__name__
