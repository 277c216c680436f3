"""Classification metrics over numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


def correct_in_top(logits: np.ndarray, labels: np.ndarray, k: int) -> int:
    """Return how many labels are among the k largest logits.

    Args:
        logits: float32 [batch, classes].
        labels: int64 [batch].
        k: at most the number of classes counts. Ties are broken against the label, and NaN is never right.
    """
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
    """What an evaluation counted; `confusion` is int64 [true class, predicted class]."""

    classes: tuple[str, ...]
    confusion: np.ndarray
    loss_sum: float = 0.0
    in_top5: int = 0
    broken: list[str] = field(default_factory=list)

    @classmethod
    def empty(cls, classes: tuple[str, ...]) -> Evaluation:
        """Return an evaluation of nothing yet."""
        return cls(classes, np.zeros((len(classes), len(classes)), dtype=np.int64))

    def add(self, losses_sum: float, logits: np.ndarray, labels: np.ndarray) -> None:
        """Add a batch: the sum of its losses, logits [batch, classes] and labels [batch]."""
        self.loss_sum += losses_sum
        self.in_top5 += correct_in_top(logits, labels, 5)
        np.add.at(self.confusion, (labels, logits.argmax(axis=1)), 1)

    @property
    def count(self) -> int:
        """Images evaluated."""
        return int(self.confusion.sum())

    @property
    def loss(self) -> float:
        """Mean cross-entropy."""
        return self.loss_sum / max(self.count, 1)

    @property
    def top1(self) -> float:
        """Percent of images whose largest logit is the label's."""
        return 100.0 * float(np.trace(self.confusion)) / max(self.count, 1)

    @property
    def top5(self) -> float:
        """Percent of images whose label is among the five largest logits."""
        return 100.0 * self.in_top5 / max(self.count, 1)

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
