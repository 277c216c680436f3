"""Evaluation of a network over a split."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import paddle
from paddle import nn

from ppresnet.config import RunConfig
from ppresnet.data import Batch, Broken, BrokenReport, Loader, Samples, Source, batches, open_split, preprocess_of
from ppresnet.data.views import VIEWS, CornerSamples
from ppresnet.train.averaging import averaged_logits
from ppresnet.train.losses import Kind, summed_cross_entropy
from ppresnet.train.metrics import Evaluation
from ppresnet.train.multilabel import MultiLabelEvaluation
from ppresnet.train.ranks import ALONE, Ranks


def evaluate(
    model: nn.Layer,
    loader: Loader,
    batch_size: int,
    broken: BrokenReport,
    after_batch: Callable[[], None] = lambda: None,
    ranks: Ranks = ALONE,
    kind: Kind = "cross_entropy",
    mirror: bool = False,
) -> Evaluation | MultiLabelEvaluation:
    """Return the metrics of a network over all images of a split, the same numbers with any number of processes.

    The batches are dealt out whole to the processes, none twice.

    Args:
        model: put into evaluation mode, and back into the mode it was in, whatever happens.
        loader: of the split; its images are not augmented, and have one view or several.
        batch_size: images per forward pass.
        broken: collects the images that cannot be read.
        after_batch: is called after each batch, or one in each process, and may raise to leave.
        ranks: the processes; each has the same network.
        kind: the loss that the network is trained with.
        mirror: show each view mirrored too; the probabilities of all views are averaged.

    Raises:
        DataError: more images are broken than the report tolerates.
    """
    source = loader.samples.source
    whole = batches(len(source), batch_size)
    result = _nothing_yet(source, len(whole), kind)
    was_training = model.training
    model.eval()
    try:
        loaded = loader.run(0, whole[ranks.rank :: ranks.size])
        with paddle.no_grad():
            for number in range(ranks.rank, len(whole) + ranks.rank, ranks.size):
                with ranks.together():
                    if number < len(whole):
                        batch = next(loaded)
                        broken.add(batch.broken)
                        _count(result, model, batch, number, kind, mirror)
                after_batch()
    finally:
        if was_training:
            model.train()
    for found in ranks.gather([(item.name, item.reason) for item in broken.broken]):
        broken.add(Broken(name, reason) for name, reason in found)
    result.broken = [item.name for item in broken.broken]
    result.merge(ranks)
    return result


def _nothing_yet(source: Source, count: int, kind: Kind) -> Evaluation | MultiLabelEvaluation:
    if source.labels.ndim == 2:
        return MultiLabelEvaluation(source.classes, source.labels, np.zeros(count))
    return Evaluation.empty(source.classes, count, binary=kind == "bce")


def _count(
    result: Evaluation | MultiLabelEvaluation, model: nn.Layer, batch: Batch, number: int, kind: Kind, mirror: bool
) -> None:
    if len(batch.labels):
        logits = averaged_logits(model, batch.images, mirror, binary=kind == "bce")
        losses = summed_cross_entropy(logits, paddle.to_tensor(batch.labels), kind)
        result.add(losses, logits.numpy(), batch.labels, batch.indices, number)


def evaluate_split(model: nn.Layer, config: RunConfig, views: str = "none") -> Evaluation | MultiLabelEvaluation:
    """Return the metrics of a network on the evaluation split of a recipe.

    Args:
        model: the network.
        config: the recipe.
        views: a name of `VIEWS`, over which probabilities are averaged.

    Raises:
        DataError: the data set does not fit the recipe's classes, or is missing or too broken.
        ConfigError: the views are crops, and `data.resize` leaves nothing to crop.
    """
    channels = config.model.in_channels
    source = open_split(config.data, "val", in_channels=channels, num_classes=config.model.num_classes)
    cropped = CornerSamples if VIEWS[views].corners else Samples
    samples = cropped(source, preprocess_of(config.data, channels))
    broken = BrokenReport(config.data.max_broken, len(source))
    with Loader(samples, workers=config.data.workers) as loader:
        size, mirror = config.train.batch_size, VIEWS[views].mirror
        return evaluate(model, loader, size, broken, kind=config.train.loss, mirror=mirror)
