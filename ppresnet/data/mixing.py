"""Images of a batch mixed in pairs: Mixup and CutMix."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Mixed:
    """A batch whose images show two labels each.

    `images` is float32 NCHW; `labels` and `others` are as in a `Batch`; `share`, from 0 to 1, is that of `labels`.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    others: NDArray[np.int64]
    share: float


def mix(
    images_NCHW: NDArray[np.float32],
    labels: NDArray[np.int64],
    rng: np.random.Generator,
    mixup: float = 0.0,
    cutmix: float = 0.0,
) -> Mixed:
    """Return a batch mixed with itself in another order; where both ways are on, a coin decides.

    Args:
        images_NCHW: float32 [batch, channels, height, width]; left as it is.
        labels: as in a `Batch`.
        rng: decides everything random.
        mixup: alpha of Mixup (Zhang et al. 2017, arXiv:1710.09412), whose shares come from Beta(alpha, alpha); 0: off.
        cutmix: alpha of CutMix (Yun et al. 2019, arXiv:1905.04899); 0: off.
    """
    if not (mixup or cutmix) or len(labels) < 2:
        return Mixed(images_NCHW, labels, labels, 1.0)
    paste = bool(cutmix) and (not mixup or rng.random() < 0.5)
    alpha = cutmix if paste else mixup
    share, order = float(rng.beta(alpha, alpha)), rng.permutation(len(labels))
    if not paste:
        blended = images_NCHW * np.float32(share) + images_NCHW[order] * np.float32(1.0 - share)
        return Mixed(blended, labels, labels[order], share)
    height, width = images_NCHW.shape[2:]
    rows, columns = (_span(side, math.sqrt(1.0 - share), rng) for side in (height, width))
    pasted = images_NCHW.copy()
    pasted[:, :, rows, columns] = images_NCHW[order][:, :, rows, columns]
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return Mixed(pasted, labels, labels[order], 1.0 - area / (height * width))


def _span(side: int, part: float, rng: np.random.Generator) -> slice:
    length, centre = int(side * part), int(rng.integers(side))
    return slice(max(centre - length // 2, 0), min(centre - length // 2 + length, side))
