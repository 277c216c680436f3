"""One optimiser step: forward and backward of its batches, the verdict, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from paddle import nn
from paddle.optimizer import Optimizer

from ppresnet.config import RunConfig
from ppresnet.data import Batch
from ppresnet.errors import RequestError
from ppresnet.train.clipping import clip_gradients
from ppresnet.train.ema import Ema
from ppresnet.train.gradients import Gradients
from ppresnet.train.guards import Guard, Verdict, bad_gradient
from ppresnet.train.metrics import Window
from ppresnet.train.micro import Memory
from ppresnet.train.passes import Passes
from ppresnet.train.ranks import ALONE, Ranks
from ppresnet.train.scaling import LossScale
from ppresnet.train.seeds import derive
from ppresnet.train.sparsity import Sparsity


@dataclass
class Step:
    """Takes the batches of an optimiser step, forward and backward, and moves the weights where all went well.

    Each process has its share of every batch, and the gradient is that of all images of the step: a mean over batches
    and processes in which every image counts alike. So batches that are accumulated are one large batch, but for
    BatchNorm: it normalises each by its own statistics, and moves the running ones once for each.

    Attributes:
        config: the recipe.
        model: in training mode.
        optimizer: of the model.
        ranks: the processes.
        guard: judges every step.
        memory: into how many parts a batch is cut, since it does not fit otherwise.
        ema: the moving average, None for none.
        teacher: a network to learn from, which gives what it gives in evaluation; None for none.
        sparsity: adds penalties to the gradients of a good step, None for none.
        scale: of the loss, for float16 on a GPU.
        cast: what each forward pass runs in.
        watch: is given the number of the step, from 1, while its gradients stand and before the weights move.
    """

    config: RunConfig
    model: nn.Layer
    optimizer: Optimizer
    ranks: Ranks = ALONE
    guard: Guard = field(default_factory=Guard)
    memory: Memory = field(default_factory=Memory)
    ema: Ema | None = None
    teacher: nn.Layer | None = None
    sparsity: Sparsity | None = None
    scale: LossScale | None = None
    cast: Callable[[], AbstractContextManager[Any]] = nullcontext
    watch: Callable[[int], None] | None = None
    gradients: Gradients = field(init=False)
    passes: Passes = field(init=False)
    _fault: str = field(init=False, default="")

    def __post_init__(self) -> None:
        """Prepare what the processes exchange, and what they do alone."""
        self.gradients = Gradients(self.model, self.ranks)
        self.passes = Passes(self.config, self.model, self.teacher, self.cast)

    def run(self, group: Sequence[Batch], epoch: int, number: int, rate: float) -> tuple[Verdict, Window]:
        """Return what became of a step, and the sums of loss and hits over all its images.

        Only after the verdict `go` have the weights moved.

        Args:
            group: the batches of the step, this process's share of them.
            epoch: decides the size of the images.
            number: optimiser steps done before; with the seed it decides how images are mixed.
            rate: the learning rate.

        Raises:
            RequestError: memory runs out however small the parts of a batch are.
        """
        self.optimizer.set_lr(rate * self.guard.slowdown)  # of a step that is left out too: the journal tells it
        own = [len(batch.labels) for batch in group]
        images = self._images(own)
        if not images:
            return "go", Window()
        self.gradients.open()
        seen = self.memory.run(lambda: self._pass(group, epoch, number, images), self._undo, self._divisible(own))
        self.gradients.close(sum(own) / images)
        seen = self._everywhere(seen)
        verdict = self._verdict(seen.loss_sum / images)
        if self.watch is not None:
            self.watch(number + 1)
        if verdict == "go":
            if self.sparsity is not None:
                self.sparsity.add()
            clip_gradients(self.model, self.config.optim.clip_norm)
            self.optimizer.step()
            if self.ema is not None:
                self.ema.update()
            self.optimizer.clear_grad()
        else:
            self._undo()
        return verdict, seen

    def averaged(self) -> AbstractContextManager[None]:
        """Return a context in which the network holds the moving average, where there is one."""
        return self.ema.in_place() if self.ema is not None else nullcontext()

    def fault(self, group: Sequence[Batch], epoch: int, number: int) -> str:
        """Return where the step that was bad went wrong, the same in every process; arguments as for `run`."""
        # All batches, since the layers of a network may wait for those of the other processes.
        parts = self.memory.parts
        own = [self.passes.fault(batch, seed, epoch, parts) for batch, seed in self._seeded(group, number)]
        layers = self.ranks.gather(next((layer for layer in own if layer is not None), None))
        layer = next((layer for layer in layers if layer is not None), None)
        return f"the first layer at fault is '{layer}'" if layer else f"every layer's output is finite; {self._fault}"

    def _pass(self, group: Sequence[Batch], epoch: int, number: int, images: int) -> Window:
        factor = self.scale.scale if self.scale is not None else 1.0
        seen = Window()
        for batch, seed in self._seeded(group, number):
            for one in self.passes.run(batch, seed, epoch, self.memory.parts, lambda count: factor * count / images):
                seen.add(*one)
        return seen

    def _seeded(self, group: Sequence[Batch], number: int) -> list[tuple[Batch, int]]:
        """Return the batches with images, each with the seed that decides how they are mixed."""
        seeds = [derive(self.config.seed, "mix", number, index, self.ranks.rank) for index in range(len(group))]
        return [(batch, seed) for batch, seed in zip(group, seeds, strict=True) if len(batch.labels)]

    def _undo(self) -> None:
        self.gradients.revert()
        self.optimizer.clear_grad()

    def _divisible(self, own: Sequence[int]) -> int:
        # The others wait for each part of this process where a layer talks to them.
        return 1 if self._synchronised else max(own)

    def _verdict(self, loss: float) -> Verdict:
        if self.scale is not None:
            self.scale.unscale(self.model)
        bad = bad_gradient(self.model)
        self._fault = f"the loss is {loss:.4g}, after a mean of {self.guard.mean_loss:.4g}"
        if bad is not None and np.isfinite(loss):
            self._fault = f"the first gradient at fault is that of '{bad}'"
        if self.scale is not None:
            self.scale.update(overflowed=bad is not None)
            if bad is not None and np.isfinite(loss) and self.scale.scale > 1.0:
                return "skip"  # an overflow of the short type, which the smaller scale mends
        return self.guard.judge(self.config.guard, loss, bad is None)

    @property
    def _synchronised(self) -> bool:
        return self.ranks.size > 1 and self.model.spec.norm == "sync_batch"

    def _images(self, own: Sequence[int]) -> int:
        images, left_out = map(int, self.ranks.total(np.array([sum(own), 0 in own], np.int64)))
        if images and left_out and self._synchronised:
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
