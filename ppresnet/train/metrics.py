"""Classification metrics over numpy arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ppresnet.train.calibration import BINS, Calibration, bins_of, confidences
from ppresnet.train.ranks import Ranks


def correct_in_top(logits: np.ndarray, labels: np.ndarray, k: int) -> int:
    """Return how many images have their label, or one of their labels, among the k largest logits.

    Args:
        logits: float32 [batch, classes].
        labels: int64 [batch], or [batch, classes] of zeros and ones.
        k: at most the number of classes counts. Ties are broken against the label, and NaN is never right.
    """
    if labels.ndim == 2:
        best = np.where(labels > 0, logits, -np.inf).max(axis=1)[:, None]  # NaN where one of the labels' is
        ahead = ((logits >= best) & (labels == 0)).sum(axis=1)
        return int(((best[:, 0] > -np.inf) & (ahead < k)).sum())
    target = logits[np.arange(len(labels)), labels][:, None]
    rank = (logits >= target).sum(axis=1)
    return int(((rank >= 1) & (rank <= k)).sum())


@dataclass
class Window:
    """Running sums of the training loss and accuracy since the last log line; part of the saved progress."""

    loss_sum: float = 0.0
    correct: int = 0
    count: int = 0

    def add(self, loss: float, logits: np.ndarray, labels: np.ndarray) -> None:
        """Add a batch: its mean loss, logits [batch, classes] and labels [batch]."""
        self.loss_sum += loss * len(labels)
        self.correct += correct_in_top(logits, labels, 1)
        self.count += len(labels)

    def merge(self, other: Window) -> None:
        """Add the sums of another window."""
        self.loss_sum += other.loss_sum
        self.correct += other.correct
        self.count += other.count

    def close(self) -> tuple[float, float]:
        """Return the mean loss and the top-1 in percent, and start anew."""
        count = max(self.count, 1)
        means = self.loss_sum / count, 100.0 * self.correct / count
        self.loss_sum, self.correct, self.count = 0.0, 0, 0
        return means


@dataclass
class Evaluation:
    """What an evaluation counted.

    Attributes:
        classes: their names.
        confusion: int64 [true class, predicted class].
        sums: of each batch: its losses, and its confidences in each bin, float64 [batches, 1 + bins].
        in_top5: images whose label is among the five largest logits.
        binned: images in each bin of confidence, all and those that are right, int64 [2, bins].
        binary: whether each class is a yes or no of its own, as with bce.
        broken: names of the images that cannot be read.
    """

    classes: tuple[str, ...]
    confusion: np.ndarray
    sums: np.ndarray
    binned: np.ndarray
    in_top5: int = 0
    binary: bool = False
    broken: list[str] = field(default_factory=list)

    @classmethod
    def empty(cls, classes: tuple[str, ...], batches: int = 1, binary: bool = False) -> Evaluation:
        """Return an evaluation of nothing yet, to which so many batches can be added."""
        shape = (len(classes), len(classes))
        sums, binned = np.zeros((batches, 1 + BINS)), np.zeros((2, BINS), np.int64)
        return cls(classes, np.zeros(shape, np.int64), sums, binned, binary=binary)

    def add(
        self,
        losses_sum: float,
        logits: np.ndarray,
        labels: np.ndarray,
        indices: np.ndarray | None = None,
        number: int = 0,
    ) -> None:
        """Add a batch: the sum of its losses, logits [batch, classes], labels [batch] and its number."""
        self.in_top5 += correct_in_top(logits, labels, 5)
        answers = logits.argmax(axis=1)
        np.add.at(self.confusion, (labels, answers), 1)
        confidence = confidences(logits, self.binary)
        bins = bins_of(confidence)
        self.sums[number, 0] += losses_sum
        np.add.at(self.sums[number], 1 + bins, confidence)
        np.add.at(self.binned[0], bins, 1)
        np.add.at(self.binned[1], bins, answers == labels)

    def merge(self, ranks: Ranks) -> None:
        """Add what the other processes counted; no two have seen one batch."""
        self.confusion, self.binned, self.sums = map(ranks.total, (self.confusion, self.binned, self.sums))
        self.in_top5 = int(ranks.total(np.array([self.in_top5]))[0])

    @property
    def count(self) -> int:
        """Images evaluated."""
        return int(self.confusion.sum())

    @property
    def loss(self) -> float:
        """Mean cross-entropy."""
        return math.fsum(self.sums[:, 0]) / max(self.count, 1)  # exact, so that no order of the sum shows

    @property
    def top1(self) -> float:
        """Percent of images whose largest logit is the label's."""
        return 100.0 * float(np.trace(self.confusion)) / max(self.count, 1)

    @property
    def top5(self) -> float:
        """Percent of images whose label is among the five largest logits."""
        return 100.0 * self.in_top5 / max(self.count, 1)

    @property
    def score(self) -> float:
        """What the best checkpoint has most of: `top1`."""
        return self.top1

    @property
    def calibration(self) -> Calibration:
        """Confidence and accuracy in bins."""
        total = np.array([math.fsum(column) for column in self.sums[:, 1:].T])
        return Calibration(self.binned[0], self.binned[1], total)

    def figures(self) -> dict[str, float]:
        """Return the numbers that an evaluation is told by."""
        return {"loss": self.loss, "top1": self.top1, "top5": self.top5}

    def per_class(self) -> list[dict[str, object]]:
        """Return name, images, recall and precision (percent, None where undefined) of each class."""
        rows: list[dict[str, object]] = []
        for index, name in enumerate(self.classes):
            hits = float(self.confusion[index, index])
            images, predicted = int(self.confusion[index].sum()), int(self.confusion[:, index].sum())
            recall = 100.0 * hits / images if images else None
            precision = 100.0 * hits / predicted if predicted else None
            rows.append({"class": name, "images": images, "top1": recall, "precision": precision})
        return rows
