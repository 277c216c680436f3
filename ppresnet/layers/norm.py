"""Normalisations by name."""

from collections.abc import Callable, Mapping
from math import gcd

from paddle import nn

from ppresnet.errors import ConfigError

GROUPS = 32  # Wu and He 2018, arXiv:1803.08494, table 3


def group_norm(channels: int) -> nn.GroupNorm:
    """Return GroupNorm with 32 groups, or the most groups below that divide the channels."""
    return nn.GroupNorm(gcd(GROUPS, channels), channels)


NORMS: Mapping[str, Callable[[int], nn.Layer]] = {
    "batch": nn.BatchNorm2D,
    "sync_batch": nn.SyncBatchNorm,
    "group": group_norm,
    "layer": lambda channels: nn.GroupNorm(1, channels),
}


def normalisation(name: str, channels: int) -> nn.Layer:
    """Return a normalisation of images [batch, channels, height, width].

    Args:
        name: `batch` (Ioffe and Szegedy 2015, arXiv:1502.03167), `sync_batch` (over all processes), `group` (Wu and He
            2018, arXiv:1803.08494) or `layer` (over all channels and pixels of an image: GroupNorm with one group).
        channels: of the images.

    Raises:
        ConfigError: there is no normalisation of that name.
    """
    if name not in NORMS:
        raise ConfigError(f"unknown normalisation '{name}'; expected one of {', '.join(NORMS)}")
    return NORMS[name](channels)
