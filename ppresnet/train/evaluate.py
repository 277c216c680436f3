"""Evaluation of a network over a split."""

from collections.abc import Callable

import paddle
import paddle.nn.functional as F
from paddle import nn

from ppresnet.config import RunConfig
from ppresnet.data import BrokenReport, Loader, Samples, batches, open_split, preprocess_of
from ppresnet.train.metrics import Evaluation


def evaluate(
    model: nn.Layer,
    loader: Loader,
    batch_size: int,
    broken: BrokenReport,
    after_batch: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Return the metrics of a network over all images of a split, in order.

    Args:
        model: put into evaluation mode, and back into the mode it was in.
        loader: of the split; its images are not augmented.
        batch_size: images per forward pass.
        broken: collects the images that cannot be read.
        after_batch: is called after each batch and may raise to leave.

    Raises:
        DataError: more images are broken than the report tolerates.
    """
    source = loader.samples.source
    result = Evaluation.empty(source.classes)
    was_training = model.training
    model.eval()
    with paddle.no_grad():
        for batch in loader.run(0, batches(len(source), batch_size)):
            broken.add(batch.broken)
            if not len(batch.labels):
                continue
            logits = model(paddle.to_tensor(batch.images))
            losses = F.cross_entropy(logits, paddle.to_tensor(batch.labels), reduction="sum")
            result.add(float(losses), logits.numpy(), batch.labels)
            after_batch()
    if was_training:
        model.train()
    result.broken = [item.name for item in broken.broken]
    return result


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
