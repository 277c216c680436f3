"""Which images a step sees."""

from dataclasses import dataclass

import numpy as np

from ppresnet.data import batches
from ppresnet.train.seeds import derive


@dataclass(frozen=True)
class Plan:
    """The batches of every epoch, as a function of the seed.

    An incomplete last batch is left out, since BatchNorm would weigh its few images like a whole batch; every epoch
    leaves out others. A data set smaller than one batch is one batch.

    Attributes:
        images: in the training split.
        batch_size: images per forward pass.
        accumulate: batches per optimiser step.
        seed: of the run.
    """

    images: int
    batch_size: int
    accumulate: int
    seed: int

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Return the image indices of each batch, int64 [batch_size]."""
        drop_last = self.images >= self.batch_size
        order = derive(self.seed, "order")
        return batches(self.images, self.batch_size, seed=order, epoch=epoch, drop_last=drop_last)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in an epoch; the last one may have fewer batches."""
        return -(-max(self.images // self.batch_size, 1) // self.accumulate)
