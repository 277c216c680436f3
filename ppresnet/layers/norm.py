"""Normalisations by name."""

from collections.abc import Callable, Mapping
from math import gcd

from paddle import nn

from ppresnet.errors import ConfigError
from ppresnet.layers.sync_batch_norm import SyncBatchNorm2D

GROUPS = 32  # Wu and He 2018, arXiv:1803.08494, table 3
EPSILON = 1e-5  # of every GroupNorm; exports to ONNX count on it


def groups_of(channels: int) -> int:
    """Return the most groups up to 32 that divide the channels and have two of them or more each.

    A group of one channel would be InstanceNorm, and of one pixel besides it would be zero (table 3 there).
    """
    groups = gcd(GROUPS, channels)
    return groups // 2 if groups == channels > 1 else groups


def group_norm(channels: int) -> nn.GroupNorm:
    """Return GroupNorm with the groups that the rule for its width gives."""
    return nn.GroupNorm(groups_of(channels), channels, EPSILON)


NORMS: Mapping[str, Callable[[int], nn.Layer]] = {
    "batch": nn.BatchNorm2D,
    "sync_batch": SyncBatchNorm2D,
    "group": group_norm,
    "layer": lambda channels: nn.GroupNorm(1, channels, EPSILON),
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
