"""Residual blocks with gated skips."""

from paddle import Tensor, nn

from ppresnet.layers.activation import activation
from ppresnet.layers.blocks import Residual, basic_branch, skip_of
from ppresnet.layers.drop_path import DropPath
from ppresnet.layers.gates import SparseGate, TransformGate
from ppresnet.layers.sites import conv_norm_promise


class HighwayBlock(nn.Layer):
    """gate * act(branch) + (1 - gate) * skip (Srivastava et al. 2015, equation 3); the skip is x where shapes allow it.

    Args:
        in_channels: channels of the input.
        widths: output channels of the two 3x3 convolutions of the branch.
        skip: `identity`, `projection` or `zero_pad`.
        stride: of the first convolution and of the gate.
        kernel: of the gate.
        bias: where the bias of the gate starts.
        act: name of the activations.
        norm: name of the normalisations.
        drop_path: probability of leaving a sample to the skip alone in training.
        pad_before: zero channels that a zero_pad skip puts before its input; None for half of them.

    Raises:
        ConfigError: the skip does not match the branch.
    """

    def __init__(
        self,
        in_channels: int,
        widths: tuple[int, int],
        skip: str,
        stride: int = 1,
        kernel: int = 3,
        bias: float = -2.0,
        act: str = "relu",
        norm: str = "batch",
        drop_path: float = 0.0,
        pad_before: int | None = None,
    ) -> None:
        super().__init__()
        self.branch = basic_branch(in_channels, widths, stride, 1, act, norm)
        self.branch[-1].promise = conv_norm_promise(act)
        self.act = activation(act)
        self.gate = TransformGate(in_channels, widths[-1], kernel, stride, bias)
        self.skip = skip_of(skip, in_channels, widths[-1], stride, norm, pad_before)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        identity, gate = self.skip(x_NCHW), self.gate(x_NCHW)
        return identity + self.drop_path(gate * (self.act(self.branch(x_NCHW)) - identity))


class SparseGatedBlock(Residual):
    """act(gate * skip + branch), with a gate that is zero where the skip adds nothing.

    Args:
        in_channels: channels of the input.
        widths: output channels of the two 3x3 convolutions of the branch.
        skip: `identity`, `projection` or `zero_pad`.
        stride: of the first convolution.
        over: `channel` or `pixel`: what has a gate of its own.
        threshold: gates below it are zero.
        bias: where the bias of the gate starts.
        act: name of the activations.
        norm: name of the normalisations.
        drop_path: probability of dropping the branch in training.
        pad_before: zero channels that a zero_pad skip puts before its input; None for half of them.

    Raises:
        ConfigError: the skip does not match the branch.
    """

    def __init__(
        self,
        in_channels: int,
        widths: tuple[int, int],
        skip: str,
        stride: int = 1,
        over: str = "channel",
        threshold: float = 0.5,
        bias: float = 1.0,
        act: str = "relu",
        norm: str = "batch",
        drop_path: float = 0.0,
        pad_before: int | None = None,
    ) -> None:
        carried = skip_of(skip, in_channels, widths[-1], stride, norm, pad_before)
        gated = nn.Sequential(carried, SparseGate(widths[-1], over, threshold, bias))
        super().__init__(basic_branch(in_channels, widths, stride, 1, act, norm), gated, act, drop_path)
