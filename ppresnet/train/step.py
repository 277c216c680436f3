"""One optimiser step: forward and backward of its batches, the verdict, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.optimizer import Optimizer

from ppresnet.config import RunConfig
from ppresnet.data import Batch
from ppresnet.data.mixing import mix
from ppresnet.errors import RequestError
from ppresnet.train.ema import Ema
from ppresnet.train.gradients import Gradients
from ppresnet.train.growth import resized, side_of
from ppresnet.train.guards import Guard, Verdict, bad_gradient, bad_layer
from ppresnet.train.losses import distillation, mixed_cross_entropy
from ppresnet.train.metrics import Window
from ppresnet.train.micro import Memory
from ppresnet.train.ranks import ALONE, Ranks
from ppresnet.train.scaling import LossScale
from ppresnet.train.seeds import derive


@dataclass
class Step:
    """Takes the batches of an optimiser step, forward and backward, and moves the weights where all went well.

    Each process has its share of every batch, and the gradient is that of all images of the step: a mean over batches
    and processes in which every image counts alike.

    Attributes:
        config: the recipe.
        model: in training mode.
        optimizer: of the model.
        ranks: the processes.
        guard: judges every step.
        memory: into how many parts a batch is cut, since it does not fit otherwise.
        ema: the moving average, None for none.
        teacher: a network in evaluation mode to learn from, None for none.
        scale: of the loss, for float16 on a GPU.
        cast: what each forward pass runs in.
    """

    config: RunConfig
    model: nn.Layer
    optimizer: Optimizer
    ranks: Ranks = ALONE
    guard: Guard = field(default_factory=Guard)
    memory: Memory = field(default_factory=Memory)
    ema: Ema | None = None
    teacher: nn.Layer | None = None
    scale: LossScale | None = None
    cast: Callable[[], AbstractContextManager[Any]] = nullcontext
    gradients: Gradients = field(init=False)

    def __post_init__(self) -> None:
        """Prepare what the processes exchange."""
        self.gradients = Gradients(self.model, self.ranks)

    def run(self, group: Sequence[Batch], epoch: int, number: int, rate: float) -> tuple[Verdict, Window]:
        """Return what became of a step, and the sums of loss and hits over all its images.

        Only after the verdict `go` have the weights moved.

        Args:
            group: the batches of the step, this process's share of them.
            epoch: decides the size of the images.
            number: optimiser steps done before; with the seed it decides how images are mixed.
            rate: the learning rate.
        """
        own = sum(len(batch.labels) for batch in group)
        images = self._images(own, group)
        if not images:
            return "go", Window()
        self.gradients.open()
        seen = Window()
        for index, batch in enumerate(group):
            if len(batch.labels):
                seed = derive(self.config.seed, "mix", number, index, self.ranks.rank)
                for one in self.memory.run(partial(self._batch, batch, seed, epoch, images), self.model):
                    seen.add(*one)
        self.gradients.close(own / images)
        seen = self._everywhere(seen)
        verdict = self._verdict(seen.loss_sum / images)
        if verdict == "go":
            self.optimizer.set_lr(rate * self.guard.slowdown)
            self.optimizer.step()
            if self.ema is not None:
                self.ema.update()
        else:
            self.gradients.revert()
        self.optimizer.clear_grad()
        return verdict, seen

    def averaged(self) -> AbstractContextManager[None]:
        """Return a context in which the network holds the moving average, where there is one."""
        return self.ema.in_place() if self.ema is not None else nullcontext()

    def fault(self, group: Sequence[Batch]) -> str | None:
        """Return which layer's output is the first to be NaN or infinite for the batches of a step, None for none."""
        # All batches, since the layers of a network may wait for those of the other processes.
        layers = [bad_layer(self.model, paddle.to_tensor(batch.images)) for batch in group if len(batch.labels)]
        return next((f"the first layer at fault is '{layer}'" for layer in layers if layer is not None), None)

    def _batch(self, batch: Batch, seed: int, epoch: int, images: int) -> list[tuple[float, np.ndarray, np.ndarray]]:
        train = self.config.train
        mixed = mix(batch.images, batch.labels, np.random.default_rng(seed), train.mixup, train.cutmix)
        side = side_of(train, batch.images.shape[-1], epoch)
        found = []
        for part in np.array_split(np.arange(len(batch.labels)), min(self.memory.parts, len(batch.labels))):
            inputs = resized(paddle.to_tensor(mixed.images[part]), side)
            labels, others = paddle.to_tensor(mixed.labels[part]), paddle.to_tensor(mixed.others[part])
            with self.cast():
                logits = self.model(inputs)
                loss = mixed_cross_entropy(logits, labels, others, mixed.share, train.label_smoothing)
                loss = self._with_teacher(loss, logits, inputs)
            self._backward(loss, len(part) / images)
            found.append((float(loss), logits.astype("float32").numpy(), mixed.labels[part]))
        return found

    def _with_teacher(self, loss: Tensor, logits: Tensor, inputs: Tensor) -> Tensor:
        if self.teacher is None:
            return loss
        with paddle.no_grad():
            target = self.teacher(inputs)
        distill = self.config.distill
        return loss * (1.0 - distill.weight) + distillation(logits, target, distill.temperature) * distill.weight

    def _backward(self, loss: Tensor, share: float) -> None:
        factor = share * (self.scale.scale if self.scale is not None else 1.0)
        (loss if factor == 1.0 else loss * factor).backward()

    def _verdict(self, loss: float) -> Verdict:
        if self.scale is not None:
            self.scale.unscale(self.model)
        finite = bad_gradient(self.model) is None
        if self.scale is not None:
            self.scale.update(overflowed=not finite)
            if not finite and np.isfinite(loss) and self.scale.scale > 1.0:
                return "skip"  # an overflow of the short type, which the smaller scale mends
        return self.guard.judge(self.config.guard, loss, finite)

    def _images(self, own: int, group: Sequence[Batch]) -> int:
        idle = any(not len(batch.labels) for batch in group)
        images, left_out = map(int, self.ranks.total(np.array([own, idle], np.int64)))
        if images and left_out and self.ranks.size > 1 and self.config.model.norm == "sync_batch":
            raise RequestError(
                "model.norm is sync_batch, which needs an image of each batch in every process, and one has none that "
                "can be read; use fewer processes, a larger train.batch_size or another norm"
            )
        return images

    def _everywhere(self, seen: Window) -> Window:
        if self.ranks.size == 1:
            return seen
        loss_sum, correct, count = self.ranks.total(np.array([seen.loss_sum, seen.correct, seen.count], np.float64))
        return Window(float(loss_sum), int(correct), int(count))
