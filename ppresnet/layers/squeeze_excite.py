"""Squeeze and excitation: channels weighed by what the whole image holds."""

from collections.abc import Mapping

from paddle import Tensor, nn

from ppresnet.errors import ConfigError
from ppresnet.layers.activation import Sigmoid
from ppresnet.layers.conv import kaiming_fan_out

GATES: Mapping[str, type[nn.Layer]] = {"sigmoid": Sigmoid, "hard_sigmoid": nn.Hardsigmoid}


class SqueezeExcite(nn.Layer):
    """Scales every channel by gate(expand(relu(reduce(mean over pixels)))) (Hu et al. 2017, arXiv:1709.01507).

    Args:
        channels: of the input and the output.
        reduced: width between the two 1x1 convolutions.
        gate: `sigmoid`, or `hard_sigmoid`, which is clip(x / 6 + 1/2, 0, 1) (Howard et al. 2019, arXiv:1905.02244).

    Raises:
        ConfigError: there is no gate of that name.
    """

    def __init__(self, channels: int, reduced: int, gate: str = "sigmoid") -> None:
        super().__init__()
        if gate not in GATES:
            raise ConfigError(f"unknown gate '{gate}'; expected one of {', '.join(GATES)}")
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.reduce = nn.Conv2D(channels, reduced, 1, weight_attr=kaiming_fan_out(reduced))
        self.act = nn.ReLU()
        self.expand = nn.Conv2D(reduced, channels, 1, weight_attr=kaiming_fan_out(channels))
        self.gate = GATES[gate]()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the input, each channel of each image scaled by its weight in [0, 1]; same shape."""
        squeezed_NC11 = self.act(self.reduce(self.pool(x_NCHW)))
        return x_NCHW * self.gate(self.expand(squeezed_NC11))
