"""The arithmetic that the cost models of all families share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Trained parameters, and multiply-accumulates for one image."""

    params: int = 0
    macs: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Return the sum of both."""
        return Cost(self.params + other.params, self.macs + other.macs)


def conv_norm(in_channels: int, out_channels: int, kernel: int, size: int, groups: int = 1) -> Cost:
    """Return the cost of a convolution without bias and a normalisation; `size` is the side of the output, pixels."""
    weights = in_channels * out_channels * kernel * kernel // groups
    return Cost(weights + 2 * out_channels, weights * size * size)


def strided(size: int, stride: int) -> int:
    """Return the side of the output of a padded convolution or pool."""
    return -(-size // stride)


def linear(in_features: int, out_features: int, positions: int = 1) -> Cost:
    """Return the cost of a linear layer with bias, applied at so many positions."""
    return Cost(in_features * out_features + out_features, in_features * out_features * positions)
