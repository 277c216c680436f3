"""Skips: what carries the input of a residual block around its branch. None has a nonlinearity."""

import paddle.nn.functional as F
from paddle import Tensor, nn

from ppresnet.errors import ConfigError
from ppresnet.layers.conv import ConvNorm


class IdentitySkip(nn.Layer):
    """The input itself.

    Raises:
        ConfigError: the branch changes the shape.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        if (in_channels, 1) != (out_channels, stride):
            raise ConfigError(
                f"an identity skip needs a branch that keeps the shape; {_shapes(in_channels, out_channels, stride)}; "
                "use a projection or zero_pad skip"
            )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the input."""
        return x_NCHW


class ProjectionSkip(nn.Layer):
    """A strided 1x1 convolution with BatchNorm: option B of He et al. 2015, arXiv:1512.03385."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.project = ConvNorm(in_channels, out_channels, kernel=1, stride=stride)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        return self.project(x_NCHW)


class ZeroPadSkip(nn.Layer):
    """Every stride-th pixel, with zero channels on both sides: option A of He et al. 2015, free of parameters.

    Raises:
        ConfigError: the branch has fewer channels than the input.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        if out_channels < in_channels:
            raise ConfigError(
                f"a zero_pad skip can only add channels; {_shapes(in_channels, out_channels, stride)}; "
                "use a projection skip"
            )
        self.stride = stride
        before = (out_channels - in_channels) // 2
        self.pad = [0, 0, 0, 0, before, out_channels - in_channels - before]

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        x_N1CHW = x_NCHW[:, :, :: self.stride, :: self.stride].unsqueeze(1)
        # Channels are padded as the depth of a volume: that is the operator pad3d. The operator pad, which takes all
        # axes at once, corrupts the heap when oneDNN runs it (Paddle 3.3.1).
        return F.pad(x_N1CHW, self.pad, data_format="NCDHW").squeeze(1)


def _shapes(in_channels: int, out_channels: int, stride: int) -> str:
    size = "H, W" if stride == 1 else f"H/{stride}, W/{stride}"
    return f"the input is [N, {in_channels}, H, W] and the branch gives [N, {out_channels}, {size}]"
