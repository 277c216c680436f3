"""Evaluation of a network over a split."""

import math
from collections.abc import Callable

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from ppresnet.config import RunConfig
from ppresnet.data import Batch, Broken, BrokenReport, Loader, Samples, batches, open_split, preprocess_of
from ppresnet.train.metrics import Evaluation
from ppresnet.train.ranks import ALONE, Ranks


def evaluate(
    model: nn.Layer,
    loader: Loader,
    batch_size: int,
    broken: BrokenReport,
    after_batch: Callable[[], None] = lambda: None,
    ranks: Ranks = ALONE,
) -> Evaluation:
    """Return the metrics of a network over all images of a split, the same numbers with any number of processes.

    The batches are dealt out whole to the processes, none twice.

    Args:
        model: put into evaluation mode, and back into the mode it was in.
        loader: of the split; its images are not augmented.
        batch_size: images per forward pass.
        broken: collects the images that cannot be read.
        after_batch: is called after each batch, or one in each process, and may raise to leave.
        ranks: the processes; each has the same network.

    Raises:
        DataError: more images are broken than the report tolerates.
    """
    source = loader.samples.source
    result = Evaluation.empty(source.classes)
    was_training = model.training
    model.eval()
    whole = batches(len(source), batch_size)
    losses = np.zeros(len(whole))
    own = range(ranks.rank, len(whole), ranks.size)
    loaded = loader.run(0, [whole[number] for number in own])
    with paddle.no_grad():
        for number in range(ranks.rank, len(whole) + ranks.rank, ranks.size):
            with ranks.together():
                if number < len(whole):
                    batch = next(loaded)
                    broken.add(batch.broken)
                    losses[number] = _count(result, model, batch)
            after_batch()
    if was_training:
        model.train()
    for found in ranks.gather([(item.name, item.reason) for item in broken.broken]):
        broken.add(Broken(name, reason) for name, reason in found)
    result.broken = [item.name for item in broken.broken]
    result.confusion, (result.in_top5,) = (
        ranks.total(result.confusion),
        map(int, ranks.total(np.array([result.in_top5]))),
    )
    result.loss_sum = math.fsum(ranks.total(losses))  # exact, so that no order of the sum shows
    return result


def _count(result: Evaluation, model: nn.Layer, batch: Batch) -> float:
    """Add a batch to the result, and return the sum of its losses."""
    if not len(batch.labels):
        return 0.0
    logits = model(paddle.to_tensor(batch.images))
    losses = float(F.cross_entropy(logits, paddle.to_tensor(batch.labels), reduction="sum"))
    result.add(losses, logits.numpy(), batch.labels)
    return losses


def evaluate_split(model: nn.Layer, config: RunConfig) -> Evaluation:
    """Return the metrics of a network on the evaluation split of a recipe.

    Raises:
        DataError: the data set does not fit the recipe's classes, or is missing or too broken.
    """
    channels = config.model.in_channels
    source = open_split(config.data, "val", in_channels=channels, num_classes=config.model.num_classes)
    samples = Samples(source, preprocess_of(config.data, channels))
    with Loader(samples, workers=config.data.workers) as loader:
        return evaluate(model, loader, config.train.batch_size, BrokenReport(config.data.max_broken, len(source)))
