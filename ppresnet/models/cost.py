"""Parameters and MACs of a spec, by arithmetic alone.

The convention: MACs are the multiply-accumulates of convolution and linear layers for one image; biases,
normalisation, activation, pooling and additions are not counted. Parameters are the trained ones, so running
statistics are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from ppresnet.spec import BlockSpec, ModelSpec, ResNetSpec


@dataclass(frozen=True)
class Cost:
    """Trained parameters, and multiply-accumulates for one image."""

    params: int = 0
    macs: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Return the sum of both."""
        return Cost(self.params + other.params, self.macs + other.macs)


def cost(spec: ModelSpec, input_size: int | None = None) -> Cost:
    """Return the cost of a network.

    Args:
        spec: the architecture.
        input_size: side of the square image in pixels; the spec's own where None.

    Raises:
        TypeError: the family has no cost model.
    """
    if not isinstance(spec, ResNetSpec):
        raise TypeError(f"no cost model for the family '{spec.family}'")
    return _resnet(spec, input_size or spec.input_size)


def _resnet(spec: ResNetSpec, size: int) -> Cost:
    channels = spec.stem.width
    if spec.stem.kind == "imagenet":
        size = _strided(size, 2)
        total = _conv_norm(spec.in_channels, channels, 7, size)
        size = _strided(size, 2)
    else:
        total = _conv_norm(spec.in_channels, channels, 3, size)
    for stage in spec.stages:
        for block in stage:
            total += _block(block, channels, size)
            channels, size = block.widths[-1], _strided(size, block.stride)
    return total + Cost(channels * spec.num_classes + spec.num_classes, channels * spec.num_classes)


def _block(block: BlockSpec, channels: int, size: int) -> Cost:
    after = _strided(size, block.stride)
    widths = block.widths
    if block.kind == "basic":
        total = _conv_norm(channels, widths[0], 3, after, block.groups) + _conv_norm(widths[0], widths[1], 3, after)
    else:
        total = _conv_norm(channels, widths[0], 1, size)
        total += _conv_norm(widths[0], widths[1], 3, after, block.groups)
        total += _conv_norm(widths[1], widths[2], 1, after)
    if block.skip == "projection":
        total += _conv_norm(channels, widths[-1], 1, after)
    return total


def _conv_norm(in_channels: int, out_channels: int, kernel: int, size: int, groups: int = 1) -> Cost:
    weights = in_channels * out_channels * kernel * kernel // groups
    return Cost(weights + 2 * out_channels, weights * size * size)


def _strided(size: int, stride: int) -> int:
    return -(-size // stride)
