"""Reading golden tensors: only as many bytes as a description allows, and only arrays as it describes."""

import io
import math
import tokenize
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppresnet.errors import BundleError, DataError
from ppresnet.files import open_zip

MAX_IMAGES = 64
_MAX_HEADER = 4096
# What numpy raises on headers that are none.
_BROKEN = (ValueError, SyntaxError, RecursionError, tokenize.TokenError)


def read_golden(
    path: Path, input_shape: Sequence[int], output_shape: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the golden inputs [n, channels, size, size] and outputs [n, classes], float32, of 1 to 64 images.

    Args:
        path: an npz with `inputs` and `outputs`.
        input_shape: of the network's input; the first dimension is free.
        output_shape: of its output, likewise.

    Raises:
        BundleError: it cannot be read, or holds other arrays.
    """
    shapes = {"inputs": tuple(input_shape), "outputs": tuple(output_shape)}
    try:
        archive = open_zip(path, max_members=len(shapes))
        members = {f"{name}.npy": shape for name, shape in shapes.items()}
        if set(archive.members()) != members.keys():
            raise ValueError(f"expected the arrays {', '.join(shapes)}, found {', '.join(archive.members()) or 'none'}")
        inputs, outputs = (_array(archive.read(name, _limit(shape)), shape, name) for name, shape in members.items())
        archive.close()
        if len(inputs) != len(outputs):
            raise ValueError(f"{len(inputs)} inputs and {len(outputs)} outputs")
    except (DataError, *_BROKEN) as error:
        raise BundleError(f"{path} does not hold the golden tensors described: {error}; export it again") from error
    return inputs, outputs


def _limit(shape: tuple[int, ...]) -> int:
    return _MAX_HEADER + 4 * MAX_IMAGES * math.prod(max(size, 0) for size in shape[1:])


def _array(data: bytes, expected: tuple[int, ...], name: str) -> NDArray[np.float32]:
    """Return the array in the bytes of a `.npy`; its header is looked at before anything is made of it."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)  # type: ignore[no-untyped-call]
    if version != (1, 0):
        raise ValueError(f"{name}: expected version 1.0 of the format, found {version}")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)  # type: ignore[no-untyped-call]
    if dtype != np.float32 or by_columns or len(shape) != len(expected) or shape[1:] != expected[1:]:
        wanted = f"float32 [n, {', '.join(map(str, expected[1:]))}]"
        raise ValueError(f"{name}: expected {wanted} by rows, found {dtype} {list(shape)}")
    rest = data[stream.tell() :]
    if not 1 <= shape[0] <= MAX_IMAGES or len(rest) != 4 * math.prod(shape):
        raise ValueError(f"{name}: expected 1 to {MAX_IMAGES} images, found {list(shape)} in {len(rest)} bytes")
    return np.frombuffer(rest, dtype).reshape(shape).copy()
