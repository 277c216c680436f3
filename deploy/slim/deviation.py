"""How much a rectified channel varies, from its BatchNorm alone."""

from __future__ import annotations

from math import erf

import numpy as np
from numpy.typing import NDArray


def rectified_deviation(deviation: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the deviation of max(0, z) for normal z of this deviation and mean."""
    spread = deviation + 1e-12
    ratio = mean / spread
    density = np.exp(-(ratio**2) / 2) / np.sqrt(2 * np.pi)
    below = np.array([0.5 * (1 + erf(each / np.sqrt(2))) for each in ratio])
    first = mean * below + spread * density
    second = (mean**2 + spread**2) * below + mean * spread * density
    return np.asarray(np.sqrt(np.maximum(second - first**2, 0.0)))
