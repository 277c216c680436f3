"""The slope that a block of continuous depth integrates (Chen et al. 2018, arXiv:1806.07366)."""

from paddle import Tensor, nn

from ppresnet.layers.activation import activation
from ppresnet.layers.conv import kaiming_fan_out
from ppresnet.layers.norm import normalisation


class TimeConv(nn.Layer):
    """A 3x3 convolution whose bias grows with time."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        init = kaiming_fan_out(9 * out_channels)
        self.conv = nn.Conv2D(in_channels, out_channels, 3, padding=1, weight_attr=init)
        self.slope = self.create_parameter([1, out_channels, 1, 1], default_initializer=init)

    def forward(self, x_NCHW: Tensor, time: float) -> Tensor:
        """Return float32 [batch, out_channels, height, width]."""
        return self.conv(x_NCHW) + time * self.slope


class ODEFunction(nn.Layer):
    """The slope f(t, x): two convolutions, each normalised and activated before, and a last normalisation.

    Args:
        channels: of the state.
        hidden: channels between the convolutions.
        act: name of the activations.
        norm: name of the normalisations; none that depends on the batch.
    """

    def __init__(self, channels: int, hidden: int, act: str, norm: str) -> None:
        super().__init__()
        self.norm1 = normalisation(norm, channels)
        self.conv1 = TimeConv(channels, hidden)
        self.norm2 = normalisation(norm, hidden)
        self.conv2 = TimeConv(hidden, channels)
        self.norm3 = normalisation(norm, channels)
        self.act = activation(act)

    def forward(self, time: float, x_NCHW: Tensor) -> Tensor:
        """Return the slope at a time; the shape of the state."""
        x_NCHW = self.conv1(self.act(self.norm1(x_NCHW)), time)
        x_NCHW = self.conv2(self.act(self.norm2(x_NCHW)), time)
        return self.norm3(x_NCHW)
