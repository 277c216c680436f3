"""Skips: what carries the input of a residual block around its branch. None has a nonlinearity."""

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from ppresnet.errors import ConfigError
from ppresnet.layers.conv import ConvNorm


class IdentitySkip(nn.Layer):
    """The input itself.

    Raises:
        ConfigError: the branch changes the shape.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: str = "batch") -> None:
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
    """A strided 1x1 convolution with a normalisation: option B of He et al. 2015, arXiv:1512.03385."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: str = "batch") -> None:
        super().__init__()
        self.project = ConvNorm(in_channels, out_channels, kernel=1, stride=stride, norm=norm)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        return self.project(x_NCHW)


class ZeroPadSkip(nn.Layer):
    """Every stride-th pixel, with zero channels on both sides: option A of He et al. 2015, free of parameters.

    In evaluation, and so in every exported program, it takes the form of a projection whose kernel picks channels and
    whose BatchNorm changes nothing but, on some CPUs, the last bit. Every runtime has these operators and fuses the
    addition behind them. (Under oneDNN the operator `pad` corrupts the heap in Paddle 3.3.1, paddle2onnx 2.1.0 leaves
    the value of `pad3d` unset, and a padded skip keeps the oneDNN pass for `.pdmodel` from fusing.)

    Args:
        in_channels: channels of the input.
        out_channels: channels of the branch.
        stride: of the branch.
        norm: not used; every kind of skip takes it.
        before: zero channels before the input, the others stand behind it; half of them where None.

    Raises:
        ConfigError: the branch has fewer channels than the input, or than the input with those before it.
    """

    # Epsilon and variance add up to one exactly, and fusion passes want an epsilon of at most 1e-3.
    EPSILON = 2.0**-10

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, norm: str = "batch", before: int | None = None
    ) -> None:
        super().__init__()
        if out_channels < in_channels:
            raise ConfigError(
                f"a zero_pad skip can only add channels; {_shapes(in_channels, out_channels, stride)}; "
                "use a projection skip"
            )
        before = (out_channels - in_channels) // 2 if before is None else before
        if before > out_channels - in_channels:
            raise ConfigError(
                f"a zero_pad skip adds {out_channels - in_channels} channels here; found {before} before the input"
            )
        self.stride, self.before, self.after = stride, before, out_channels - in_channels - before
        picks = paddle.eye(out_channels, in_channels).roll(before, axis=0)
        # Every statistic is a buffer of its own: the folding passes do not take one that serves twice.
        fixed = {
            "picks": picks.reshape([out_channels, in_channels, 1, 1]),
            "mean": paddle.zeros([out_channels]),
            "variance": paddle.full([out_channels], 1.0 - self.EPSILON),
            "gamma": paddle.ones([out_channels]),
            "beta": paddle.zeros([out_channels]),
        }
        for name, tensor in fixed.items():
            self.register_buffer(name, tensor, persistable=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        if self.training:
            x_N1CHW = x_NCHW[:, :, :: self.stride, :: self.stride].unsqueeze(1)
            return F.pad(x_N1CHW, [0, 0, 0, 0, self.before, self.after], data_format="NCDHW").squeeze(1)
        out = F.conv2d(x_NCHW, self.picks, stride=self.stride)
        return F.batch_norm(out, self.mean, self.variance, self.gamma, self.beta, epsilon=self.EPSILON)


def _shapes(in_channels: int, out_channels: int, stride: int) -> str:
    size = "H, W" if stride == 1 else f"H/{stride}, W/{stride}"
    return f"the input is [N, {in_channels}, H, W] and the branch gives [N, {out_channels}, {size}]"
