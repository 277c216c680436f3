"""Dense connections: every layer sees what all layers before it gave (Huang et al. 2016, arXiv:1608.06993)."""

import paddle
from paddle import Tensor, nn

from ppresnet.layers.conv import ConvNorm
from ppresnet.layers.drop_path import DropPath
from ppresnet.layers.preact import BareConv, NormAct


class DenseSkip(nn.Layer):
    """A skip that is not added: the new channels stand behind those of the input."""

    def forward(self, x_NCHW: Tensor, new_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, channels of x + channels of new, height, width]."""
        return paddle.concat([x_NCHW, new_NCHW], axis=1)


class DenseLayer(nn.Layer):
    """Normalisation, activation and 3x3 convolution beside a dense skip; DenseNet-B has a 1x1 convolution in front.

    Args:
        in_channels: channels of the input.
        growth: channels that are added.
        bottleneck: width of the 1x1 convolution, or None for none.
        act: name of the activations.
        norm: name of the normalisations.
        dropout: probability of dropping an added value in training.
        drop_path: probability of dropping all that is added to an image in training.
    """

    def __init__(
        self,
        in_channels: int,
        growth: int,
        bottleneck: int | None = None,
        act: str = "relu",
        norm: str = "batch",
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.before = NormAct(in_channels, act, norm)
        self.reduce = ConvNorm(in_channels, bottleneck, 1, act=act, norm=norm) if bottleneck else nn.Identity()
        self.grow = BareConv(bottleneck or in_channels, growth, 3)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.skip = DenseSkip()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, in_channels + growth, height, width]."""
        new_NCHW = self.grow(self.reduce(self.before(x_NCHW)))
        return self.skip(x_NCHW, self.drop_path(self.dropout(new_NCHW)))


class Transition(nn.Layer):
    """Normalisation, activation, 1x1 convolution and 2x2 mean pool between two stages of dense layers.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        act: name of the activation.
        norm: name of the normalisation.
    """

    STRIDE = 2

    def __init__(self, in_channels: int, out_channels: int, act: str = "relu", norm: str = "batch") -> None:
        super().__init__()
        self.before = NormAct(in_channels, act, norm)
        self.reduce = BareConv(in_channels, out_channels, 1)
        self.pool = nn.AvgPool2D(2, stride=2)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, out_channels, floor(height / 2), floor(width / 2)]."""
        return self.pool(self.reduce(self.before(x_NCHW)))
