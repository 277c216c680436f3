"""Residual blocks, act(skip(x) + branch(x)), and the plain blocks that the degradation experiment compares them to."""

from collections.abc import Callable, Mapping

from paddle import Tensor, nn

from ppresnet.errors import ConfigError
from ppresnet.layers.activation import activation
from ppresnet.layers.conv import ConvNorm
from ppresnet.layers.drop_path import DropPath
from ppresnet.layers.sites import conv_norm_promise
from ppresnet.layers.skips import IdentitySkip, ProjectionSkip, ZeroPadSkip
from ppresnet.layers.squeeze_excite import SqueezeExcite

SKIPS: Mapping[str, type[nn.Layer]] = {
    "identity": IdentitySkip,
    "projection": ProjectionSkip,
    "zero_pad": ZeroPadSkip,
}


class Residual(nn.Layer):
    """A branch beside a skip; the activation follows the addition.

    The sum is written `identity + out`: the fusion passes of Paddle Inference (GPU) and Paddle Lite (OpenCL) fold an
    addition into a convolution only when the convolution is its second input.

    Args:
        branch: the convolutions; its last normalisation has no activation.
        skip: gives the same shape as the branch.
        act: name of the activation after the addition.
        drop_path: probability of dropping the branch in training.
        se: inner width of the squeeze and excitation of the branch; None for a branch without.
    """

    def __init__(
        self, branch: nn.Sequential, skip: nn.Layer, act: str, drop_path: float = 0.0, se: int | None = None
    ) -> None:
        super().__init__()
        self.branch = branch
        self.se = _squeeze_excite(branch, se)
        self.skip = skip
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.act = activation(act)
        if se is None:
            branch[-1].promise = conv_norm_promise(act, residual=True)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        identity = self.skip(x_NCHW)
        out = self.drop_path(self.se(self.branch(x_NCHW)))
        return self.act(identity + out)


class BranchBlock(Residual):
    """A branch of convolutions that the class names in `make_branch`, beside a skip.

    Args:
        in_channels: channels of the input.
        widths: output channels of the branch's convolutions.
        skip: `identity`, `projection` or `zero_pad`.
        stride: of the first 3x3 convolution.
        groups: cardinality of the first 3x3 convolution (Xie et al. 2016, arXiv:1611.05431); only 1 in a basic block.
        act: name of the activations.
        drop_path: probability of dropping the branch in training.
        norm: name of the normalisations.
        se: inner width of the squeeze and excitation of the branch; None for a branch without.
        pad_before: zero channels that a zero_pad skip puts before its input; None for half of them.

    Raises:
        ConfigError: the skip does not match the branch, or there are too many or too few widths.
    """

    make_branch: Callable[..., nn.Sequential]

    def __init__(
        self,
        in_channels: int,
        widths: tuple[int, ...],
        skip: str,
        stride: int = 1,
        groups: int = 1,
        act: str = "relu",
        drop_path: float = 0.0,
        norm: str = "batch",
        se: int | None = None,
        pad_before: int | None = None,
    ) -> None:
        branch = self.make_branch(in_channels, widths, stride, groups, act, norm)
        super().__init__(branch, skip_of(skip, in_channels, widths[-1], stride, norm, pad_before), act, drop_path, se)


class PlainBlock(nn.Layer):
    """A branch followed by an activation, without a skip: what the residual blocks are measured against."""

    def __init__(self, branch: nn.Sequential, act: str, se: int | None = None) -> None:
        super().__init__()
        self.branch = branch
        self.se = _squeeze_excite(branch, se)
        self.act = activation(act)
        if se is None:
            branch[-1].promise = conv_norm_promise(act)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        return self.act(self.se(self.branch(x_NCHW)))


def basic_branch(
    in_channels: int, widths: tuple[int, ...], stride: int, groups: int, act: str, norm: str = "batch"
) -> nn.Sequential:
    """Return the two 3x3 convolutions of a basic block.

    Raises:
        ConfigError: the widths are not two.
    """
    _expect_widths("basic", widths, 2)
    return nn.Sequential(
        ConvNorm(in_channels, widths[0], 3, stride, groups, act, norm),
        ConvNorm(widths[0], widths[1], 3, norm=norm),
    )


def bottleneck_branch(
    in_channels: int, widths: tuple[int, ...], stride: int, groups: int, act: str, norm: str = "batch"
) -> nn.Sequential:
    """Return the 1x1, 3x3 and 1x1 convolutions of a bottleneck block.

    Raises:
        ConfigError: the widths are not three.
    """
    _expect_widths("bottleneck", widths, 3)
    return nn.Sequential(
        ConvNorm(in_channels, widths[0], 1, act=act, norm=norm),
        ConvNorm(widths[0], widths[1], 3, stride, groups, act, norm),
        ConvNorm(widths[1], widths[2], 1, norm=norm),
    )


def _squeeze_excite(branch: nn.Sequential, reduced: int | None) -> nn.Layer:
    return nn.Identity() if reduced is None else SqueezeExcite(branch[-1].conv.weight.shape[0], reduced)


class BasicBlock(BranchBlock):
    """Two 3x3 convolutions beside a skip (He et al. 2015, figure 5 left)."""

    make_branch = staticmethod(basic_branch)


class Bottleneck(BranchBlock):
    """1x1, 3x3 and 1x1 convolutions beside a skip (He et al. 2015, figure 5 right), the stride in the 3x3 (v1.5)."""

    make_branch = staticmethod(bottleneck_branch)


def skip_of(
    kind: str, in_channels: int, out_channels: int, stride: int, norm: str = "batch", pad_before: int | None = None
) -> nn.Layer:
    """Return a skip by name.

    Raises:
        ConfigError: there is none of that name, or it does not fit the shapes.
    """
    if kind not in SKIPS:
        raise ConfigError(f"unknown skip '{kind}'; expected one of {', '.join(SKIPS)}")
    before = {"before": pad_before} if kind == "zero_pad" else {}
    return SKIPS[kind](in_channels, out_channels, stride, norm, **before)


def _expect_widths(kind: str, widths: tuple[int, ...], count: int) -> None:
    if len(widths) != count:
        raise ConfigError(f"a {kind} block needs {count} widths, one per convolution; found {list(widths)}")
