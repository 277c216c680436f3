"""Images in memory: a part of a split, spread over it, as the network takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import paddle
import paddle.nn.functional as F
from numpy.typing import NDArray
from paddle import nn

from ppresnet import cli
from ppresnet.config import RunConfig
from ppresnet.data import Broken, BrokenReport, Samples, open_split, preprocess_of
from ppresnet.errors import DataError, RequestError
from ppresnet.train.metrics import correct_in_top


@dataclass(frozen=True, eq=False)
class Subset:
    """Preprocessed images, float32 [n, channels, size, size], and their labels, int64 [n]."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    batch_size: int

    def batches(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Yield images and labels, batch by batch, in order."""
        for start in range(0, len(self.labels), self.batch_size):
            yield self.images[start : start + self.batch_size], self.labels[start : start + self.batch_size]


@dataclass(frozen=True)
class Quality:
    """How a network does on a subset: percent of images right, and mean cross-entropy."""

    top1: float
    loss: float


def load_subset(config: RunConfig, split: Literal["train", "val"], most: int) -> Subset:
    """Return at most so many images of a split, spread evenly over it and not augmented.

    Raises:
        DataError: the split cannot be opened, or none of these images be read.
        RequestError: its images have several labels.
    """
    if config.data.multi_label:
        raise RequestError(
            "expected images of one label each, found data.multi_label: true; such a network is not made int8, and is "
            "pruned without images: plan with another --importance than taylor or obs, and cut with --recalibrate 0"
        )
    channels = config.model.in_channels
    source = open_split(config.data, split, in_channels=channels, num_classes=config.model.num_classes)
    indices = np.unique(np.linspace(0, len(source) - 1, min(len(source), most)).astype(np.int64))
    # Splits are often sorted by class; in any order but theirs, a batch is like the whole.
    batch = Samples(source, preprocess_of(config.data, channels)).load(0, np.random.default_rng(0).permutation(indices))
    if not len(batch.labels):
        raise DataError(f"none of {len(indices)} images is readable; the first: {batch.broken[0].reason}")
    tell_broken(BrokenReport(config.data.max_broken, len(source)), batch.broken)
    return Subset(batch.images, batch.labels, config.train.batch_size)


def tell_broken(report: BrokenReport, broken: Iterable[Broken]) -> None:
    """Add images that are left out to a report, and say which are new to it.

    Raises:
        DataError: they are more than `data.max_broken` tolerates.
    """
    known = report.broken
    report.add(broken)
    for item in report.broken:
        if item not in known:
            cli.say(f"{item.name} is left out: {item.reason}")


def quality(model: nn.Layer, subset: Subset) -> Quality:
    """Return how a network in evaluation mode does on a subset."""
    right, loss = 0, 0.0
    with paddle.no_grad():
        for images, labels in subset.batches():
            logits = model(paddle.to_tensor(images))
            loss += float(F.cross_entropy(logits, paddle.to_tensor(labels), reduction="sum"))
            right += correct_in_top(logits.numpy(), labels, 1)
    return Quality(100.0 * right / len(subset.labels), loss / len(subset.labels))
