"""Foreign tensors that may differ from ours: the head in its classes, the stem in its input channels."""

from collections.abc import Sequence

import numpy as np

HEAD = "head.fc."  # of every family


def has_other_classes(shapes: Sequence[tuple[Sequence[int], Sequence[int]]]) -> bool:
    """Return whether the tensors of a head differ from the foreign ones in the number of classes alone.

    Args:
        shapes: ours and theirs, both in our layout, in which the classes are the last axis.
    """
    same = all(list(ours[:-1]) == list(theirs[:-1]) and theirs for ours, theirs in shapes)
    return same and len({theirs[-1] for _, theirs in shapes}) == 1


def of_other_channels(shape: Sequence[int], foreign: Sequence[int]) -> bool:
    """Return whether a stem's kernel differs from the foreign one in the number of input channels alone."""
    return len(shape) == len(foreign) == 4 and (shape[0], *shape[2:]) == (foreign[0], *foreign[2:])


def to_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Return the kernel of a stem for another number of input channels.

    For one channel the kernels are summed: a grey image gives what it gave when repeated in every channel. For more
    they are repeated in turn and scaled by old / new, so that an image with equal channels gives about the same.

    Args:
        kernel: float32 [out, channels, height, width].
        channels: wanted.
    """
    found = kernel.shape[1]
    if channels == 1:
        return np.asarray(kernel.sum(axis=1, keepdims=True))
    turns = np.arange(channels) % found
    return np.asarray(kernel[:, turns] * np.asarray(found / channels, kernel.dtype))


def says(theirs: str, ours: str, found: int, channels: int) -> str:
    """Return the sentence about what `to_channels` did."""
    how = "summed" if channels == 1 else f"repeated in turn and scaled by {found}/{channels}"
    return f"'{ours}': the {found} input channels of '{theirs}' were {how} for {channels}"
