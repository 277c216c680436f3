"""Activations by name."""

from collections.abc import Mapping

from paddle import Tensor, nn

from ppresnet import paddle_api
from ppresnet.errors import ConfigError


class Gelu(nn.Layer):
    """The Gaussian error linear unit (Hendrycks and Gimpel 2016, arXiv:1606.08415), in a form that exports."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x * Phi(x); same shape."""
        return paddle_api.gelu(x)


class Sigmoid(nn.Layer):
    """The logistic function, in a form that exports: a gate in [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        """Return 1 / (1 + exp(-x)); same shape."""
        return paddle_api.sigmoid(x)


ACTIVATIONS: Mapping[str, type[nn.Layer]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "silu": nn.Swish,  # the same function; oneDNN fuses the operator swish and never silu
    "gelu": Gelu,
    "hard_swish": nn.Hardswish,
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
