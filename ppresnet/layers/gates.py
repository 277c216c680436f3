"""Gates of residual blocks: how much a block transforms its input, and which parts of it the skip lets through."""

import paddle
from paddle import Tensor, nn

from ppresnet.layers.activation import Sigmoid


class TransformGate(nn.Layer):
    """sigmoid(convolution): the share of the transform in a highway block (Srivastava et al. 2015, arXiv:1505.00387).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the gate.
        kernel: side of the square kernel, odd.
        stride: of the convolution.
        bias: where the bias starts; negative lets the input through at first (section 2.2).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, bias: float) -> None:
        super().__init__()
        self.conv = nn.Conv2D(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=kernel // 2,
            weight_attr=nn.initializer.XavierNormal(),
            bias_attr=nn.initializer.Constant(bias),
        )
        self.act = Sigmoid()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return values in (0, 1), float32 [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        return self.act(self.conv(x_NCHW))


class SparseGate(nn.Layer):
    """Multiplies by sigmoid(1x1 convolution) where that reaches the threshold, and by zero elsewhere.

    A closed gate has the gradient of an open one (straight through: Bengio et al. 2013, arXiv:1308.3432), so that it
    can open again.

    Args:
        channels: of the input and the output.
        over: `channel`, one value for each channel of an image, made of the channels' means; or `pixel`, one value for
            each pixel, made of its channels.
        threshold: values below it are zero.
        bias: where the bias of the convolution starts; positive opens the gates at first.
    """

    def __init__(self, channels: int, over: str, threshold: float, bias: float) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2D(1) if over == "channel" else nn.Identity()
        self.conv = nn.Conv2D(
            channels,
            channels if over == "channel" else 1,
            1,
            weight_attr=nn.initializer.XavierNormal(),
            bias_attr=nn.initializer.Constant(bias),
        )
        self.act = Sigmoid()
        self.threshold = threshold
        self._last: list[Tensor] = []

    def gate(self, x_NCHW: Tensor) -> Tensor:
        """Return zeros and values in [threshold, 1), float32 [batch, channels, 1, 1] or [batch, 1, height, width]."""
        soft = self.act(self.conv(self.pool(x_NCHW)))
        hard = soft * (soft >= self.threshold).astype(soft.dtype)
        if paddle.in_dynamic_mode():
            self._last[:] = [hard.detach()]
        # soft + (0 - soft) is zero exactly.
        return soft + (hard - soft).detach() if self.training else hard

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the input times its gate; same shape."""
        return x_NCHW * self.gate(x_NCHW)

    @property
    def open_share(self) -> float | None:
        """Share of open gates in the last pass, None before the first one."""
        return float((self._last[0] > 0).astype("float32").mean()) if self._last else None


def open_shares(model: nn.Layer) -> dict[str, float]:
    """Return the share of open gates in the last pass, by the name of each sparse gate that has had one."""
    gates = {name: layer for name, layer in model.named_sublayers() if isinstance(layer, SparseGate)}
    return {name: gate.open_share for name, gate in gates.items() if gate.open_share is not None}
