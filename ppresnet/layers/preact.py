"""Pre-activation: normalisation and activation before the convolutions, and nothing behind the sum."""

from collections.abc import Mapping

from paddle import Tensor, nn

from ppresnet.errors import ConfigError
from ppresnet.layers.activation import activation
from ppresnet.layers.conv import ConvNorm, kaiming_fan_out
from ppresnet.layers.drop_path import DropPath
from ppresnet.layers.norm import normalisation
from ppresnet.layers.skips import IdentitySkip, ZeroPadSkip

KERNELS: Mapping[str, tuple[int, ...]] = {"basic": (3, 3), "bottleneck": (1, 3, 1)}


class NormAct(nn.Layer):
    """A normalisation, then an activation."""

    def __init__(self, channels: int, act: str, norm: str = "batch") -> None:
        super().__init__()
        self.norm = normalisation(norm, channels)
        self.act = activation(act)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the normalised and activated input; same shape."""
        return self.act(self.norm(x_NCHW))


class BareConv(nn.Layer):
    """A convolution without bias, normalisation or activation, behind an optional dropout.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the square kernel; odd, padded to keep the size at stride 1.
        stride: of the convolution.
        dropout: probability of dropping an input value in training.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.conv = nn.Conv2D(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=kernel // 2,
            weight_attr=kaiming_fan_out(out_channels * kernel * kernel),
            bias_attr=False,
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        return self.conv(self.dropout(x_NCHW))


class BareProjection(BareConv):
    """A strided 1x1 convolution: the projection of a block that normalises before its convolutions."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, 1, stride)


SKIPS: Mapping[str, type[nn.Layer]] = {
    "identity": IdentitySkip,
    "projection": BareProjection,
    "zero_pad": ZeroPadSkip,
}


class PreActResidual(nn.Layer):
    """A residual block in full pre-activation form (He et al. 2016, arXiv:1603.05027, figure 4e).

    Args:
        kind: `basic` (3x3, 3x3) or `bottleneck` (1x1, 3x3, 1x1).
        in_channels: channels of the input.
        widths: output channels of the convolutions.
        skip: `identity`, `projection` or `zero_pad`.
        stride: of one convolution.
        strided: the convolution that has it, counted from zero.
        shared: whether the skip carries the activated input; else it carries the input itself.
        act: name of the activations.
        norm: name of the normalisations.
        drop_path: probability of dropping the branch in training.
        dropout: probability of dropping an input value of the last convolution in training.
        pad_before: zero channels that a zero_pad skip puts before its input; None for half of them.

    Raises:
        ConfigError: the skip does not match the branch, or the widths do not match the kind.
    """

    def __init__(
        self,
        kind: str,
        in_channels: int,
        widths: tuple[int, ...],
        skip: str,
        stride: int = 1,
        strided: int = 0,
        shared: bool = False,
        act: str = "relu",
        norm: str = "batch",
        drop_path: float = 0.0,
        dropout: float = 0.0,
        pad_before: int | None = None,
    ) -> None:
        super().__init__()
        kernels = KERNELS[kind]
        if len(widths) != len(kernels) or strided >= len(kernels):
            raise ConfigError(
                f"a {kind} block has {len(kernels)} convolutions; "
                f"found the widths {list(widths)} and the stride in number {strided}, counted from zero"
            )
        strides = [stride if index == strided else 1 for index in range(len(kernels))]
        *firsts, last = zip((in_channels, *widths[:-1]), widths, kernels, strides, strict=True)
        self.shared = shared
        self.before = NormAct(in_channels, act, norm)
        self.branch = nn.Sequential(
            *(ConvNorm(*shape, act=act, norm=norm) for shape in firsts), BareConv(*last, dropout)
        )
        before = {"before": pad_before} if skip == "zero_pad" else {}
        self.skip = SKIPS[skip](in_channels, widths[-1], stride, **before)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        activated_NCHW = self.before(x_NCHW)
        identity = self.skip(activated_NCHW if self.shared else x_NCHW)
        out = self.drop_path(self.branch(activated_NCHW))
        return identity + out
