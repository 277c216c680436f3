"""Depthwise separable convolution: each channel by itself, then all channels of a pixel."""

from paddle import Tensor, nn

from ppresnet.layers.conv import ConvNorm
from ppresnet.layers.squeeze_excite import SqueezeExcite


class DepthwiseSeparable(nn.Layer):
    """A depthwise convolution, an optional squeeze and excitation, a 1x1 convolution (Cui et al., arXiv:2109.15099).

    Args:
        in_channels: channels of the input and of the depthwise convolution.
        out_channels: channels of the output.
        kernel: side of the depthwise kernel.
        stride: of the depthwise convolution.
        reduced: inner width of the squeeze and excitation, or None for none.
        act: name of the activations.
        norm: name of the normalisations.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        reduced: int | None = None,
        act: str = "hard_swish",
        norm: str = "batch",
    ) -> None:
        super().__init__()
        self.depthwise = ConvNorm(in_channels, in_channels, kernel, stride, in_channels, act, norm)
        self.excite = SqueezeExcite(in_channels, reduced, gate="hard_sigmoid") if reduced else nn.Identity()
        self.pointwise = ConvNorm(in_channels, out_channels, 1, act=act, norm=norm)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        return self.pointwise(self.excite(self.depthwise(x_NCHW)))
