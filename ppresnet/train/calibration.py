"""Calibration: how far confidence and accuracy are apart (Guo et al. 2017, arXiv:1706.04599)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15


def confidences(logits: NDArray[np.float32], binary: bool) -> NDArray[np.float64]:
    """Return the probability of each image's most likely class, float64 [batch].

    Args:
        logits: float32 [batch, classes].
        binary: whether each class is a yes or no of its own (sigmoid), or one of all classes is there (softmax).
    """
    wide = logits.astype(np.float64)
    top = wide.max(axis=1)
    found: NDArray[np.float64]
    found = np.exp(-np.logaddexp(0.0, -top)) if binary else 1.0 / np.exp(wide - top[:, None]).sum(axis=1)
    return found


def bins_of(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each confidence, int64; bin m of M is ((m - 1) / M, m / M], and NaN is in the last."""
    bins: NDArray[np.int64] = np.ceil(np.nan_to_num(confidence, nan=1.0) * BINS).astype(np.int64) - 1
    return np.clip(bins, 0, BINS - 1)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Images by the confidence of their answer: int64 [bins] and float64 [bins].

    Attributes:
        images: in each bin.
        right: of these, those whose answer is right.
        confidence: their sum.
    """

    images: NDArray[np.int64]
    right: NDArray[np.int64]
    confidence: NDArray[np.float64]

    @property
    def ece(self) -> float:
        """Expected calibration error, percent: sum over bins of images / all * |accuracy - confidence|."""
        gaps = np.abs(self.right - self.confidence)
        return 100.0 * math.fsum(gaps) / max(int(self.images.sum()), 1)

    def rows(self) -> list[dict[str, object]]:
        """Return bounds, images, accuracy and mean confidence (percent, None where there is no image) of each bin."""
        rows: list[dict[str, object]] = []
        for index, (images, right, confidence) in enumerate(
            zip(self.images.tolist(), self.right.tolist(), self.confidence.tolist(), strict=True)
        ):
            shares = (100.0 * right / images, 100.0 * confidence / images) if images else (None, None)
            low, high = 100.0 * index / BINS, 100.0 * (index + 1) / BINS
            rows.append({"above": low, "up_to": high, "images": images, "top1": shares[0], "confidence": shares[1]})
        return rows
