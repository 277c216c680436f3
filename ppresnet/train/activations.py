"""How much memory the activations of a step take, measured on one image, and which recompute fits a budget."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate

import paddle
from paddle import Tensor, nn

from ppresnet.errors import ConfigError
from ppresnet.train.recompute import stages_of

MB = 2**20
# Times what is counted, at most: gradients, scratch memory and gaps of the allocator come on top. Seen on a CPU with
# ResNet-50, -110 and -1202: 1.2 to 2.1 without recompute, 1.3 to 3.3 with it; oneDNN's kernels take most.
TAKEN, TAKEN_AGAIN = 2.2, 3.4
# The gradient of a normalisation needs its input, that of an activation its output, and a sum neither.
NOT_KEPT = (nn.BatchNorm2D, nn.SyncBatchNorm, nn.GroupNorm)


@dataclass
class Activations:
    """Bytes for one image.

    Attributes:
        stages: of each block of each stage: what goes in, and what its layers give that the backward pass needs.
        rest: the same of the layers outside the stages.
    """

    stages: list[list[tuple[int, int]]] = field(default_factory=list)
    rest: int = 0

    def peak(self, every: int) -> int:
        """Return the most bytes held at once when every segment of so many blocks is recomputed; 0: none is."""
        if not every:
            return self.rest + sum(inside for stage in self.stages for _, inside in stage)
        kept, largest = 0, 0
        for stage in self.stages:
            for start in range(0, len(stage), every):
                segment = stage[start : start + every]
                kept += segment[0][0]
                largest = max(largest, sum(inside for _, inside in segment))
        return self.rest + kept + largest

    def spared(self, every: int) -> int:
        """Return how many of the last segments may keep what is inside: together no more than the largest one has.

        The backward pass comes to them at once, so that to compute them again would save nothing.
        """
        inside = [part for stage in self.stages for part in _segments([one for _, one in stage], every)]
        held = accumulate(reversed(inside))
        return sum(one <= max(inside) for one in held)


def _segments(inside: Sequence[int], every: int) -> list[int]:
    return [sum(inside[start : start + every]) for start in range(0, len(inside), every)]


def measure_activations(model: nn.Layer, image_NCHW: Tensor) -> Activations:
    """Return what is kept for the backward pass, for one image of a batch [batch, channels, height, width].

    Raises:
        ConfigError: the network has no stages of blocks.
    """
    found = Activations()
    batch = image_NCHW.shape[0]
    blocks = [block for stage in stages_of(model) for block in stage]
    inputs: list[int] = []
    inside: list[int] = []
    hooks = []

    def enter(_: nn.Layer, given: tuple[Tensor, ...]) -> None:
        inputs.append(_bytes(given[0]) // batch)
        inside.append(0)

    def add(_: nn.Layer, given: tuple[Tensor, ...], out: Tensor) -> None:
        if out is given[0]:
            return
        if len(inputs) > left[0]:
            inside[-1] += _bytes(out) // batch
        else:
            found.rest += _bytes(out) // batch

    def leave(*_: object) -> None:
        left[0] += 1

    left = [0]
    for block in blocks:
        hooks += [block.register_forward_pre_hook(enter), block.register_forward_post_hook(leave)]
    for layer in model.sublayers():
        if not layer.sublayers() and not isinstance(layer, NOT_KEPT):
            hooks.append(layer.register_forward_post_hook(add))
    try:
        with _evaluated(model), paddle.no_grad():
            model(image_NCHW)
    finally:
        for hook in hooks:
            hook.remove()
    pairs = iter(zip(inputs, inside, strict=True))
    found.stages = [[next(pairs) for _ in stage] for stage in stages_of(model)]
    return found


def taken_mb(activations: Activations, batch: int, every: int) -> float:
    """Return what a step of so many images takes above the built network at most, MB."""
    return activations.peak(every) * batch * (TAKEN_AGAIN if every else TAKEN) / MB


def segments_for(activations: Activations, batch: int, budget_mb: int) -> int:
    """Return blocks to one recomputed segment, 0 where everything fits.

    Args:
        activations: of the network.
        batch: images of one forward pass in one process.
        budget_mb: for everything that a step takes above the built network.

    Raises:
        ConfigError: nothing fits; the least that would is named.
    """
    longest = max(len(stage) for stage in activations.stages)
    peaks = {every: taken_mb(activations, batch, every) for every in range(longest + 1)}
    if peaks[0] <= budget_mb:
        return 0
    best = min(range(1, longest + 1), key=lambda every: peaks[every])
    if peaks[best] > budget_mb:
        raise ConfigError(
            f"recompute.budget_mb: expected at least {math.ceil(peaks[best])}, which a batch of {batch} takes with "
            f"recompute.every={best}, found {budget_mb}; make the batch smaller"
        )
    return best


@contextmanager
def _evaluated(model: nn.Layer) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        if training:
            model.train()


def _bytes(tensor: Tensor | Sequence[Tensor]) -> int:
    if not isinstance(tensor, paddle.Tensor):
        return sum(_bytes(one) for one in tensor)
    return int(tensor.size) * int(tensor.element_size())
