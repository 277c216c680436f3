"""Metrics for images of any number of classes each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ppresnet.train.metrics import correct_in_top
from ppresnet.train.precision import average_precision, best_threshold, rates
from ppresnet.train.ranks import Ranks


@dataclass
class MultiLabelEvaluation:
    """What an evaluation found; arrays are [images, classes], in the order of the split.

    Attributes:
        classes: their names.
        truth: zeros and ones.
        logits: float32; zeros where an image is broken.
        seen: bool [images]; the broken ones are not.
        losses: their sum in each batch, float64 [batches].
        broken: names of the images that cannot be read.
        threshold: probability from which on a class counts as found.
    """

    classes: tuple[str, ...]
    truth: NDArray[np.int64]
    losses: NDArray[np.float64]
    threshold: float = 0.5
    broken: list[str] = field(default_factory=list)
    logits: NDArray[np.float32] = field(init=False)
    seen: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        """Start with nothing seen."""
        self.logits = np.zeros(self.truth.shape, np.float32)
        self.seen = np.zeros(len(self.truth), np.bool_)

    def add(
        self,
        losses_sum: float,
        logits: NDArray[np.float32],
        labels: NDArray[np.int64],
        indices: NDArray[np.int64],
        number: int = 0,
    ) -> None:
        """Add a batch: the sum of its losses, logits and labels [batch, classes], indices [batch] and its number."""
        self.losses[number] += losses_sum
        self.logits[indices] = logits
        self.seen[indices] = True

    def merge(self, ranks: Ranks) -> None:
        """Add what the other processes found; no two have seen one image."""
        self.logits, self.losses = ranks.total(self.logits), ranks.total(self.losses)
        self.seen = ranks.total(self.seen.astype(np.int32)).astype(np.bool_)

    @property
    def count(self) -> int:
        """Images evaluated."""
        return int(self.seen.sum())

    @property
    def loss(self) -> float:
        """Mean binary cross-entropy."""
        return math.fsum(self.losses) / max(self.count, 1)

    @property
    def top1(self) -> float:
        """Percent of images whose most likely class is one of theirs."""
        return self._in_top(1)

    @property
    def top5(self) -> float:
        """Percent of images with one of their classes among the five most likely."""
        return self._in_top(5)

    @property
    def map(self) -> float:
        """Mean over the classes that occur of their average precision, percent."""
        found = [one for one in self._precisions() if one is not None]
        return 100.0 * math.fsum(found) / max(len(found), 1)

    @property
    def score(self) -> float:
        """What the best checkpoint has most of: `map`."""
        return self.map

    def figures(self) -> dict[str, float]:
        """Return the numbers that an evaluation is told by."""
        return {"loss": self.loss, "top1": self.top1, "top5": self.top5, "map": self.map}

    def per_class(self) -> list[dict[str, object]]:
        """Return name, images, average precision, and rates at the threshold (percent) of each class.

        `best_threshold` is the probability with the largest F1 on these images; None where there is nothing to tell.
        """
        truth, found = self._counted()
        rows: list[dict[str, object]] = []
        for index, (name, ap) in enumerate(zip(self.classes, self._precisions(), strict=True)):
            best = best_threshold(self.logits[self.seen, index], truth[:, index])
            row = {"class": name, "images": int(truth[:, index].sum()), "ap": None if ap is None else 100.0 * ap}
            rows.append(row | rates(truth[:, index], found[:, index]) | {"best_threshold": best})
        return rows

    def overall(self) -> dict[str, float | None]:
        """Return precision, recall and F1 at the threshold, percent, over all pairs of image and class alike."""
        return rates(*self._counted())

    def _counted(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        limit = np.log(self.threshold) - np.log1p(-self.threshold)
        return self.truth[self.seen], self.logits[self.seen] >= limit

    def _precisions(self) -> list[float | None]:
        truth, logits = self.truth[self.seen], self.logits[self.seen]
        return [average_precision(logits[:, index], truth[:, index]) for index in range(len(self.classes))]

    def _in_top(self, k: int) -> float:
        return 100.0 * correct_in_top(self.logits[self.seen], self.truth[self.seen], k) / max(self.count, 1)
