"""What keeps NaN, infinity and spikes away from the weights: a bad step is left out, several in a row are undone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import paddle
from paddle import Tensor, nn

from ppresnet.config import GuardConfig
from ppresnet.train.gradients import STATISTICS

Verdict = Literal["go", "skip", "rollback", "diverged"]
MEMORY = 0.98  # share of the mean loss that each good step keeps
SETTLED = 50  # good steps before a spike can be told


@dataclass
class Guard:
    """Decides what becomes of a step, from its loss and gradients; part of the saved progress.

    Attributes:
        mean_loss: of recent good steps, decaying.
        good: good steps so far.
        skipped: bad steps in a row.
        rollbacks: returns to a checkpoint so far; each halves the learning rate.
    """

    mean_loss: float = 0.0
    good: int = 0
    skipped: int = 0
    rollbacks: int = 0

    @property
    def slowdown(self) -> float:
        """Factor of the learning rate."""
        return 0.5**self.rollbacks

    def judge(self, config: GuardConfig, loss: float, finite: bool) -> Verdict:
        """Return what to do about a step, before the optimiser moves: a bad one must not touch the weights.

        Args:
            config: the limits.
            loss: of the step.
            finite: whether all its gradients are.
        """
        if finite and math.isfinite(loss) and not self._spikes(config, loss):
            kept = MEMORY if self.good >= SETTLED else self.good / (self.good + 1)
            self.mean_loss = kept * self.mean_loss + (1 - kept) * loss
            self.good, self.skipped = self.good + 1, 0
            return "go"
        self.skipped += 1
        if self.skipped <= config.skips:
            return "skip"
        self.skipped = 0
        self.rollbacks += 1
        return "rollback" if self.rollbacks <= config.rollbacks else "diverged"

    def _spikes(self, config: GuardConfig, loss: float) -> bool:
        return config.spike is not None and self.good >= SETTLED and loss > config.spike * self.mean_loss


def bad_gradient(model: nn.Layer) -> str | None:
    """Return which gradient was the first to be NaN or infinite, None where all are finite.

    The backward pass goes from the last layer to the first, and takes what it meets along.
    """
    gradients = {name: p.grad for name, p in model.named_parameters() if p.trainable and p.grad is not None}
    if not gradients:
        return None
    finite = [paddle.isfinite(gradient).all() for gradient in gradients.values()]
    if bool(paddle.stack(finite).all()):
        return None
    bad: list[str] = [name for name, flag in zip(gradients, finite, strict=True) if not bool(flag)]
    return bad[-1]


def bad_layer(model: nn.Layer, images_NCHW: Tensor) -> str | None:
    """Return the name of the first layer whose output on these images is NaN or infinite, None where all are finite.

    The layers run as in training, without a gradient, and running statistics stay as they are.
    """
    found: list[str] = []
    with paddle.no_grad(), _statistics_put_back(model), _watched(model, found):
        model(images_NCHW)
    return found[0] if found else None


@contextmanager
def _statistics_put_back(model: nn.Layer) -> Iterator[None]:
    # A momentum of 1 would not do: NaN times 0 is NaN.
    running = [tensor for name, tensor in model.state_dict().items() if name.endswith(STATISTICS)]
    before = [tensor.clone() for tensor in running]
    try:
        yield
    finally:
        for tensor, old in zip(running, before, strict=True):
            paddle.assign(old, output=tensor)


@contextmanager
def _watched(model: nn.Layer, found: list[str]) -> Iterator[None]:
    def watch(name: str) -> Any:
        def look(_: nn.Layer, __: object, out: object) -> None:
            if not found and isinstance(out, paddle.Tensor) and not bool(paddle.isfinite(out).all()):
                found.append(name)

        return look

    # Layers with layers inside too, since oneDNN's kernels take the place of both; the inner ones end first.
    hooks = [layer.register_forward_post_hook(watch(name)) for name, layer in model.named_sublayers()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
