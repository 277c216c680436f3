"""How far two tensors are apart."""

import numpy as np


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """max|found - expected| over max|expected|; 0 / 0 is 0."""
    apart = float(np.abs(np.asarray(found, np.float64) - expected).max())
    return apart and apart / float(np.abs(expected).max())
