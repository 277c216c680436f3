"""The arithmetic that the cost models of all families share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ppresnet.spec import StemSpec


@dataclass(frozen=True)
class Cost:
    """Trained parameters, and multiply-accumulates for one image."""

    params: int = 0
    macs: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Return the sum of both."""
        return Cost(self.params + other.params, self.macs + other.macs)


def conv(in_channels: int, out_channels: int, kernel: int, size: int, groups: int = 1, bias: bool = False) -> Cost:
    """Return the cost of a convolution; `size` is the side of the output, pixels."""
    weights = in_channels * out_channels * kernel * kernel // groups
    return Cost(weights + out_channels * bias, weights * size * size)


def norm(channels: int) -> Cost:
    """Return the cost of a normalisation: a scale and a shift for each channel."""
    return Cost(2 * channels)


def conv_norm(in_channels: int, out_channels: int, kernel: int, size: int, groups: int = 1) -> Cost:
    """Return the cost of a convolution without bias and a normalisation; `size` is the side of the output, pixels."""
    return conv(in_channels, out_channels, kernel, size, groups) + norm(out_channels)


def squeeze_excite(channels: int, reduced: int) -> Cost:
    """Return the cost of squeeze and excitation: two 1x1 convolutions with bias on one pixel."""
    return conv(channels, reduced, 1, 1, bias=True) + conv(reduced, channels, 1, 1, bias=True)


def strided(size: int, stride: int) -> int:
    """Return the side of the output of a padded convolution or pool."""
    return -(-size // stride)


def stem(spec: StemSpec, in_channels: int, size: int, layer: Callable[[int, int, int, int], Cost]) -> tuple[Cost, int]:
    """Return the cost of a stem, and the side of the map that it gives.

    Args:
        spec: of the stem.
        in_channels: of the image.
        size: of the image, pixels.
        layer: `conv` or `conv_norm`.
    """
    if spec.kind == "imagenet":
        size = strided(size, 2)
        return layer(in_channels, spec.width, 7, size), strided(size, 2)
    return layer(in_channels, spec.width, 3, size), size


def linear(in_features: int, out_features: int, positions: int = 1) -> Cost:
    """Return the cost of a linear layer with bias, applied at so many positions."""
    return Cost(in_features * out_features + out_features, in_features * out_features * positions)
