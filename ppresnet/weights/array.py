"""Arrays that a file describes: checked when they are described, read when they are wanted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppresnet.errors import WeightsError
from ppresnet.weights.storage import BFLOAT16, Storage, shown

MAX_RANK = 8
_TOO_MANY = 2**48


class LazyArray:
    """A view of a storage, as every format describes its tensors.

    Args:
        storage: holds the elements.
        shape: sizes.
        strides: steps in elements; None for row-major order.
        offset: first element.

    Raises:
        WeightsError: the view reaches beyond its storage, repeats elements, or a number in it makes no sense.
    """

    def __init__(self, storage: Storage, shape: Any, strides: Any = None, offset: Any = 0) -> None:
        self.storage = storage
        self.shape = _sizes("shape", shape)
        self.strides = row_major(self.shape) if strides is None else _sizes("strides", strides)
        self.offset = _sizes("offset", (offset,))[0]
        if len(self.strides) != len(self.shape):
            raise WeightsError(f"a tensor has shape {shown(self.shape)} and strides {shown(self.strides)}")
        self.size = math.prod(self.shape)
        # A zero hides how large the others are, and numpy takes no such array.
        if math.prod(n for n in self.shape if n) >= _TOO_MANY:
            raise WeightsError(f"a tensor has the shape {shown(self.shape)}; expected sizes that a network can have")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if self.size and (last >= storage.count or self.size > storage.count):
            raise WeightsError(
                f"a tensor of shape {shown(self.shape)} with strides {shown(self.strides)} from element "
                f"{shown(self.offset)} does not lie within its storage of {shown(storage.count)} elements"
            )

    @property
    def is_float(self) -> bool:
        """Whether `load` gives float32."""
        return "float" in self.storage.dtype

    @property
    def nbytes(self) -> int:
        """Bytes that `load` gives."""
        return self.size * (4 if self.is_float else self.storage.numpy_dtype.itemsize)

    def load(self) -> np.ndarray:
        """Return the array in row-major order, floating point as float32.

        Raises:
            WeightsError: the storage has not the bytes it should have.
        """
        flat = self.storage.flat
        steps = [step * flat.itemsize for step in self.strides]
        start = flat[self.offset :] if self.size else flat[:0]
        view = np.lib.stride_tricks.as_strided(start, self.shape, steps, writeable=False)
        if self.storage.dtype == BFLOAT16:
            return (view.astype(np.uint32, order="C") << 16).view(np.float32)
        return view.astype(np.float32 if self.is_float else self.storage.dtype, order="C")


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides in elements of a row-major array."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _sizes(what: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, tuple | list) or len(value) > MAX_RANK:
        raise WeightsError(f"a tensor has the {what} {shown(value)}; expected at most {MAX_RANK} whole numbers")
    if any(type(n) is not int or not 0 <= n < _TOO_MANY for n in value):
        raise WeightsError(f"a tensor has the {what} {shown(value)}; expected whole numbers from 0 to 2**48")
    return tuple(value)
