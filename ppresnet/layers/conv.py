"""Convolution, normalisation and activation as one unit."""

import math

from paddle import Tensor, nn

from ppresnet.errors import ConfigError
from ppresnet.layers.activation import activation
from ppresnet.layers.norm import normalisation
from ppresnet.layers.sites import conv_norm_promise


class ConvNorm(nn.Layer):
    """A convolution without bias, then a normalisation, then an optional activation.

    The kernel is drawn from the Kaiming normal distribution over its fan-out (He et al. 2015, arXiv:1502.01852), so
    that the variance of gradients is kept through the depth.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the square kernel; odd, padded to keep the size at stride 1.
        stride: of the convolution.
        groups: of the convolution; must divide both channel counts.
        act: name of the activation, or None.
        norm: name of the normalisation.

    Raises:
        ConfigError: the groups do not divide the channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        act: str | None = None,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        if in_channels % groups or out_channels % groups:
            raise ConfigError(
                f"a convolution of {groups} groups needs channel counts that {groups} divides; "
                f"found {in_channels} in and {out_channels} out"
            )
        self.conv = nn.Conv2D(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            weight_attr=kaiming_fan_out(out_channels * kernel * kernel // groups),
            bias_attr=False,
        )
        self.norm = normalisation(norm, out_channels)
        self.act = activation(act)
        self.promise = conv_norm_promise(act)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        return self.act(self.norm(self.conv(x_NCHW)))


def kaiming_fan_out(fan_out: int) -> nn.initializer.Initializer:
    """Return the initialiser N(0, 2 / fan_out)."""
    return nn.initializer.Normal(0.0, math.sqrt(2.0 / fan_out))
