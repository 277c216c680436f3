"""Convolutions with standardised kernels and TensorFlow's padding, as BiT and the hybrids of ViT have them."""

import paddle.nn.functional as F
from paddle import Tensor, nn

from ppresnet.layers.activation import activation
from ppresnet.layers.conv import kaiming_fan_out
from ppresnet.layers.norm import normalisation


class StdConv(nn.Conv2D):
    """A convolution whose kernel has mean 0 and variance 1 per output channel (Qiao et al. 2019, arXiv:1903.10520).

    The padding keeps ceil(size / stride) pixels and puts an odd one after the image (`SAME` of TensorFlow).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the square kernel, odd.
        stride: of the convolution.
    """

    EPSILON = 1e-8  # that of the published weights

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        init = kaiming_fan_out(out_channels * kernel * kernel)
        super().__init__(in_channels, out_channels, kernel, stride, weight_attr=init, bias_attr=False)
        self.side, self.step = kernel, stride

    def standardised(self) -> Tensor:
        """Return the kernel that convolves, float32 [out_channels, in_channels, kernel, kernel]."""
        mean = self.weight.mean(axis=[1, 2, 3], keepdim=True)
        centred = self.weight - mean
        variance = (centred * centred).mean(axis=[1, 2, 3], keepdim=True)
        return centred * (variance + self.EPSILON) ** -0.5

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        padding = same_padding(x_NCHW, self.side, self.step)
        return F.conv2d(x_NCHW, self.standardised(), stride=self.step, padding=padding)


class StdConvNorm(nn.Layer):
    """A convolution with a standardised kernel, then a normalisation, then an optional activation.

    The kernel is computed, so no runtime folds the normalisation into it, and the layer promises nothing.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the square kernel, odd.
        stride: of the convolution.
        act: name of the activation, or None.
        norm: name of the normalisation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        act: str | None = None,
        norm: str = "group",
    ) -> None:
        super().__init__()
        self.conv = StdConv(in_channels, out_channels, kernel, stride)
        self.norm = normalisation(norm, out_channels)
        self.act = activation(act)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        return self.act(self.norm(self.conv(x_NCHW)))


def same_padding(x_NCHW: Tensor, kernel: int, stride: int) -> list[int]:
    """Return the zeros above, below, left and right of an image that give ceil(size / stride) pixels."""
    padding = []
    for size in x_NCHW.shape[2:]:
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        padding += [total // 2, total - total // 2]
    return padding
