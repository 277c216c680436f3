"""How far tensors are apart."""

from collections.abc import Iterable

import numpy as np


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """max|found - expected| over max|expected|; 0 / 0 is 0."""
    apart = float(np.abs(np.asarray(found, np.float64) - expected).max())
    return apart and apart / float(np.abs(expected).max())


def largest_difference(found: Iterable[np.ndarray], expected: Iterable[np.ndarray]) -> float:
    """The largest difference between as many tensors; NaN where there is one, which Python's `max` may pass over."""
    return float(np.max([difference(one, other) for one, other in zip(found, expected, strict=True)]))
