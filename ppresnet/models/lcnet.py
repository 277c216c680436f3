"""PP-LCNet."""

import math

from paddle import Tensor, nn

from ppresnet.layers import ConvNorm, DepthwiseSeparable, Level, Stage, activation
from ppresnet.layers.conv import kaiming_fan_out
from ppresnet.models.staged import StagedNetwork
from ppresnet.spec import LCNetSpec


class LCNet(StagedNetwork):
    """A PP-LCNet built from its spec (Cui et al. 2021, arXiv:2109.15099).

    Args:
        spec: the architecture; kept as `self.spec`.
    """

    def __init__(self, spec: LCNetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.stem = ConvNorm(spec.in_channels, spec.stem, 3, stride=2, act=spec.act, norm=spec.norm)
        channels, stride = spec.stem, 2
        stages, levels = [], []
        for stage in spec.stages:
            blocks = []
            for block in stage:
                shape = (channels, block.width, block.kernel, block.stride, block.reduced)
                blocks.append(DepthwiseSeparable(*shape, spec.act, spec.norm))
                channels, stride = block.width, stride * block.stride
            stages.append(Stage(*blocks))
            levels.append(Level(channels, stride))
        self.stages = nn.Sequential(*stages)
        self.pyramid = tuple(levels)
        self.head = LCNetHead(channels, spec)


class LCNetHead(nn.Layer):
    """Global average pooling, a 1x1 convolution with bias, activation, dropout and a linear classifier."""

    def __init__(self, in_channels: int, spec: LCNetSpec) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.conv = nn.Conv2D(in_channels, spec.hidden, 1, weight_attr=kaiming_fan_out(spec.hidden))
        self.act = activation(spec.act)
        self.dropout = nn.Dropout(spec.dropout) if spec.dropout else nn.Identity()
        bound = 1.0 / math.sqrt(spec.hidden)
        self.fc = nn.Linear(spec.hidden, spec.num_classes, weight_attr=nn.initializer.Uniform(-bound, bound))

    def forward(self, features_NCHW: Tensor) -> Tensor:
        """Return the logits, float32 [batch, num_classes]."""
        hidden = self.act(self.conv(self.pool(features_NCHW)))
        return self.fc(self.dropout(hidden.flatten(1)))
