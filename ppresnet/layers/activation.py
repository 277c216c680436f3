"""Activations by name."""

from collections.abc import Mapping

from paddle import nn

from ppresnet.errors import ConfigError

ACTIVATIONS: Mapping[str, type[nn.Layer]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "silu": nn.Silu,
    "gelu": nn.GELU,
}


def activation(name: str | None) -> nn.Layer:
    """Return the activation layer called `name`, or the identity for None.

    Raises:
        ConfigError: there is no activation of that name.
    """
    if name is None:
        return nn.Identity()
    if name not in ACTIVATIONS:
        raise ConfigError(f"unknown activation '{name}'; expected one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()
