"""Stems: the layers before the first residual block."""

from paddle import Tensor, nn

from ppresnet.layers.conv import ConvNorm


class CifarStem(ConvNorm):
    """A 3x3 convolution at full resolution, for small images (He et al. 2015, section 4.2)."""

    STRIDE = 1

    def __init__(self, in_channels: int, width: int, act: str, norm: str = "batch") -> None:
        super().__init__(in_channels, width, kernel=3, act=act, norm=norm)


class ImageNetStem(nn.Layer):
    """A 7x7 stride-2 convolution and a 3x3 stride-2 max pool: a quarter of the resolution."""

    STRIDE = 4

    def __init__(self, in_channels: int, width: int, act: str, norm: str = "batch") -> None:
        super().__init__()
        self.conv = ConvNorm(in_channels, width, kernel=7, stride=2, act=act, norm=norm)
        self.pool = nn.MaxPool2D(3, stride=2, padding=1)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, width, height / 4, width / 4]."""
        return self.pool(self.conv(x_NCHW))
