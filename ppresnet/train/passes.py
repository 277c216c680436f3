"""Forward and backward through a batch: what the network sees, what it is told, and where it goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn

from ppresnet.config import RunConfig
from ppresnet.data import Batch
from ppresnet.data.mixing import Mixed, mix
from ppresnet.train.growth import resized, side_of
from ppresnet.train.guards import bad_layer
from ppresnet.train.losses import distillation, mixed_cross_entropy
from ppresnet.train.teaching import map_difference, maps_of

Seen = tuple[float, np.ndarray, np.ndarray]
"""Mean loss, logits [images, classes] and labels of some images."""


@dataclass
class Passes:
    """The passes of a recipe through a network.

    Attributes:
        config: the recipe.
        model: in training mode.
        teacher: a network to learn from, which gives what it gives in evaluation; None for none.
        cast: what each forward pass runs in.
    """

    config: RunConfig
    model: nn.Layer
    teacher: nn.Layer | None = None
    cast: Callable[[], AbstractContextManager[Any]] = nullcontext

    def run(self, batch: Batch, seed: int, epoch: int, parts: int, weigh: Callable[[int], float]) -> list[Seen]:
        """Add the gradients of a batch to those that are there.

        Args:
            batch: at least one image.
            seed: decides how images are mixed, before they are cut into parts.
            epoch: decides their size.
            parts: how many the batch is cut into, at most one an image.
            weigh: gives the factor of the mean loss of so many images.
        """
        found, train = [], self.config.train
        for inputs, mixed in self._inputs(batch, seed, epoch, parts):
            labels, others = paddle.to_tensor(mixed.labels), paddle.to_tensor(mixed.others)
            with self.cast():
                logits, maps = self._outputs(self.model, inputs)
                loss = mixed_cross_entropy(logits, labels, others, mixed.share, train.label_smoothing, train.loss)
                loss = self._with_teacher(loss, logits, maps, inputs)
            factor = weigh(len(mixed.labels))
            (loss if factor == 1.0 else loss * factor).backward()
            found.append((float(loss), logits.astype("float32").numpy(), mixed.labels))
        return found

    def fault(self, batch: Batch, seed: int, epoch: int, parts: int) -> str | None:
        """Return the first layer whose output for these images is NaN or infinite, None where all are finite."""
        with self.cast():
            layers = [bad_layer(self.model, inputs) for inputs, _ in self._inputs(batch, seed, epoch, parts)]
        return next((layer for layer in layers if layer is not None), None)

    def _inputs(self, batch: Batch, seed: int, epoch: int, parts: int) -> Iterator[tuple[Tensor, Mixed]]:
        train = self.config.train
        whole = mix(batch.images, batch.labels, np.random.default_rng(seed), train.mixup, train.cutmix)
        side = side_of(train, batch.images.shape[-1], epoch)
        for part in np.array_split(np.arange(len(batch.labels)), min(parts, len(batch.labels))):
            mixed = Mixed(whole.images[part], whole.labels[part], whole.others[part], whole.share)
            yield resized(paddle.to_tensor(mixed.images), side), mixed

    def _outputs(self, network: nn.Layer, inputs: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """Return the logits, and the maps of the stages where they are learned from."""
        if self.teacher is None or not self.config.distill.maps:
            return network(inputs), ()
        with maps_of(network) as maps:
            return network(inputs), maps

    def _with_teacher(self, loss: Tensor, logits: Tensor, maps: Sequence[Tensor], inputs: Tensor) -> Tensor:
        if self.teacher is None:
            return loss
        with paddle.no_grad():
            target, wanted = self._outputs(self.teacher, inputs)
        distill = self.config.distill
        loss = loss * (1.0 - distill.weight) + distillation(logits, target, distill.temperature) * distill.weight
        return loss + map_difference(maps, wanted) * distill.maps if distill.maps else loss
