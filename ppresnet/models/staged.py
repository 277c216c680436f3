"""What the families of residual networks have in common: a stem, stages of blocks one behind another, and a head."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from paddle import Tensor, nn

from ppresnet.layers import Level, Stage
from ppresnet.layers.drop_path import linear_rates


class StagedNetwork(nn.Layer):
    """A network of the attributes `stem`, `stages`, `pyramid` and `head`, which its family sets.

    Attributes:
        stem: the layers before the first block.
        stages: sequences of blocks.
        pyramid: channels and stride of each map that `features` returns, one a stage.
        head: gives the logits of the last map.
    """

    pyramid: tuple[Level, ...]

    def features(self, image_NCHW: Tensor) -> tuple[Tensor, ...]:
        """Return the output of each stage, finest first, as `pyramid` says."""
        return tuple(self._maps(image_NCHW))

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """Return the logits, float32 [batch, num_classes], of float32 images [batch, in_channels, height, width]."""
        return self.head(self.features(image_NCHW)[-1])

    def _maps(self, image_NCHW: Tensor) -> list[Tensor]:
        first, *others = self.stages
        maps = [first(image_NCHW, before=self.stem)]
        for stage in others:
            maps.append(stage(maps[-1]))
        return maps


class _BlockSpec(Protocol):
    @property
    def widths(self) -> tuple[int, ...]: ...
    @property
    def stride(self) -> int: ...


_Block = TypeVar("_Block", bound=_BlockSpec)


def stacked(
    stages: Sequence[Sequence[_Block]], stem: Level, drop_path: float, build: Callable[[_Block, int, float], nn.Layer]
) -> tuple[nn.Sequential, tuple[Level, ...]]:
    """Return the stages of a network and their pyramid.

    Args:
        stages: specs of the blocks.
        stem: the map that the first block takes.
        drop_path: rate of the last block; the others' rise to it linearly from zero.
        build: makes a block of its spec, the channels of its input and its rate.
    """
    rates = iter(linear_rates(drop_path, sum(map(len, stages))))
    channels, stride = stem
    made, levels = [], []
    for stage in stages:
        blocks = []
        for block in stage:
            blocks.append(build(block, channels, next(rates)))
            channels, stride = block.widths[-1], stride * block.stride
        made.append(Stage(*blocks))
        levels.append(Level(channels, stride))
    return nn.Sequential(*made), tuple(levels)


def start_as_skips(last_norms: Iterable[nn.Layer]) -> None:
    """Set the last gamma of every branch to zero, so that its block starts as its skip (Goyal et al., 1706.02677)."""
    for norm in last_norms:
        norm.weight.set_value(norm.weight * 0.0)
