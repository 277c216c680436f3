"""Memory for time: blocks computed again in the backward pass (Chen et al. 2016, arXiv:1604.06174).

Running statistics move in the first pass alone, and the second one draws the same dropout masks, so that gradients and
statistics are those of the run without, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import paddle
from paddle import Tensor, nn
from paddle.distributed.fleet.utils import recompute

from ppresnet.errors import ConfigError


def recompute_blocks(model: nn.Layer, every: int, spared: int = 1) -> None:
    """Let a network keep only the input of every `every` blocks of a stage, and compute the rest again.

    Evaluation, exports and the names of the state dict stay as they are.

    Args:
        model: a network whose `stages` are sequences of blocks.
        every: blocks to one segment; 0 keeps every activation. Segments do not reach over the end of a stage.
        spared: last segments that keep their activations: the backward pass comes to them at once.

    Raises:
        ConfigError: the network has no stages of blocks.
    """
    if not every:
        return
    for stage in reversed(stages_of(model)):
        blocks = list(stage)
        segments = [blocks[start : start + every] for start in range(0, len(blocks), every)]
        kept = min(spared, len(segments))
        spared -= kept
        stage.forward = partial(_forward, stage, segments, len(segments) - kept)


def stages_of(model: nn.Layer) -> list[nn.Sequential]:
    """Return the stages of a network.

    Raises:
        ConfigError: it has none.
    """
    stages = list(getattr(model, "stages", ()))
    if not stages or not all(isinstance(stage, nn.Sequential) for stage in stages):
        raise ConfigError(
            f"recompute: expected a network of stages of blocks, found the family '{model.spec.family}'; "
            "set recompute.every to 0"
        )
    return stages


def _forward(
    stage: nn.Sequential,
    segments: Sequence[Sequence[nn.Layer]],
    repeated: int,
    x: Tensor,
    before: nn.Layer | None = None,
) -> Tensor:
    x = x if before is None else before(x)
    repeat = stage.training and paddle.in_dynamic_mode() and paddle.is_grad_enabled()
    for number, blocks in enumerate(segments, start=1):
        wanted = repeat and number <= repeated and _learns(blocks, x)
        x = recompute(_Segment(blocks), _asking(x)) if wanted else _run(blocks, x)
    return x


def _learns(blocks: Sequence[nn.Layer], x: Tensor) -> bool:
    return not x.stop_gradient or any(not p.stop_gradient for block in blocks for p in block.parameters())


def _asking(x: Tensor) -> Tensor:
    """Return a tensor that wants a gradient: behind frozen stages the input does not, and recompute looks at it."""
    if x.stop_gradient:
        x = x.detach()
        x.stop_gradient = False
    return x


class _Segment:
    """One pass through some blocks, which is asked for twice: forward, and again for the gradients."""

    def __init__(self, blocks: Sequence[nn.Layer]) -> None:
        self.blocks = blocks
        self.passes = 0

    def __call__(self, x: Tensor) -> Tensor:
        self.passes += 1
        if self.passes == 1:
            return _run(self.blocks, x)
        with kept_statistics(self.blocks):
            return _run(self.blocks, x)


@contextmanager
def kept_statistics(layers: Sequence[nn.Layer]) -> Iterator[None]:
    """Keep the running statistics of every BatchNorm in these layers from moving: momentum 1 adds nothing, exactly."""
    norms = [norm for layer in layers for norm in layer.sublayers(include_self=True) if hasattr(norm, "_momentum")]
    momenta = [norm._momentum for norm in norms]
    for norm in norms:
        norm._momentum = 1.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm._momentum = momentum


def _run(blocks: Sequence[nn.Layer], x: Tensor) -> Tensor:
    for block in blocks:
        x = block(x)
    return x
