"""Precision and recall of yes-or-no answers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def average_precision(scores: NDArray[np.floating], truth: NDArray[np.integer]) -> float | None:
    """Return the average precision of a ranking: sum over its thresholds of precision times the gain in recall.

    Equal scores are one threshold. None where nothing is true; 0 where a score is NaN.

    Args:
        scores: [images], the larger the more likely.
        truth: [images] of zeros and ones.
    """
    positives = int(truth.sum())
    if not positives:
        return None
    if np.isnan(scores).any():
        return 0.0
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # of each run of equal scores
    hits = np.cumsum(truth[order])[last]
    shown = np.flatnonzero(last) + 1
    return float((hits / shown * np.diff(hits, prepend=0)).sum() / positives)


def rates(truth: NDArray[np.int64], found: NDArray[np.bool_]) -> dict[str, float | None]:
    """Return precision, recall and F1 of what was found, percent, None where undefined."""
    hits, positives, answers = int((truth * found).sum()), int(truth.sum()), int(found.sum())
    whole = positives + answers
    pairs = (("precision", hits, answers), ("recall", hits, positives), ("f1", 2 * hits, whole))
    return {name: 100.0 * part / of if of else None for name, part, of in pairs}


def best_threshold(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> float | None:
    """Return the probability from which on to count a class for the largest F1, None where it never occurs."""
    if not truth.sum() or np.isnan(logits).any():
        return None
    order = np.argsort(-logits, kind="stable")
    last = np.append(np.diff(logits[order]) != 0, True)
    hits, shown = np.cumsum(truth[order])[last], np.flatnonzero(last) + 1
    best = int(np.argmax(2.0 * hits / (shown + truth.sum())))
    return float(1.0 / (1.0 + np.exp(-logits[order][last][best].astype(np.float64))))
