"""The ResNet that stands before the patches of a hybrid vision transformer."""

import paddle.nn.functional as F
from paddle import Tensor, nn

from ppresnet.errors import ConfigError
from ppresnet.layers import activation
from ppresnet.layers.std_conv import StdConvNorm, same_padding
from ppresnet.spec.vit import HybridBlockSpec, HybridStemSpec


class HybridStem(StdConvNorm):
    """A 7x7 stride-2 convolution and a 3x3 stride-2 max pool: a quarter of the resolution."""

    def __init__(self, in_channels: int, width: int, act: str, norm: str) -> None:
        super().__init__(in_channels, width, kernel=7, stride=2, act=act, norm=norm)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, width, ceil(height / 4), ceil(width / 4)]."""
        x_NCHW = self.act(self.norm(self.conv(x_NCHW)))  # Paddle 2.6 cannot translate super()
        return F.max_pool2d(x_NCHW, 3, stride=2, padding=same_padding(x_NCHW, 3, 2))


class HybridBlock(nn.Layer):
    """1x1, 3x3 and 1x1 convolutions beside a skip, as in ResNet v1.5, with standardised kernels.

    Args:
        in_channels: channels of the input.
        spec: widths, stride and skip.
        act: name of the activations.
        norm: name of the normalisations.

    Raises:
        ConfigError: the skip is an identity and the branch changes the shape.
    """

    def __init__(self, in_channels: int, spec: HybridBlockSpec, act: str, norm: str) -> None:
        super().__init__()
        first, second, last = spec.widths
        if spec.skip == "identity" and (in_channels, 1) != (last, spec.stride):
            raise ConfigError(
                f"an identity skip needs a branch that keeps the shape; found {in_channels} channels in, {last} out "
                f"and stride {spec.stride}; use a projection skip"
            )
        self.branch = nn.Sequential(
            StdConvNorm(in_channels, first, 1, act=act, norm=norm),
            StdConvNorm(first, second, 3, spec.stride, act, norm),
            StdConvNorm(second, last, 1, norm=norm),
        )
        project = spec.skip == "projection"
        self.skip = StdConvNorm(in_channels, last, 1, spec.stride, norm=norm) if project else nn.Identity()
        self.act = activation(act)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        identity = self.skip(x_NCHW)
        return self.act(identity + self.branch(x_NCHW))


class HybridBackbone(nn.Layer):
    """A stem and stages of bottleneck blocks (Kolesnikov et al. 2019, arXiv:1912.11370, without pre-activation).

    Args:
        in_channels: channels of the image.
        spec: widths of every block.
        norm: name of the normalisations.
    """

    def __init__(self, in_channels: int, spec: HybridStemSpec, norm: str) -> None:
        super().__init__()
        self.stem = HybridStem(in_channels, spec.width, spec.act, norm)
        channels, stages = spec.width, []
        for stage in spec.stages:
            blocks = []
            for block in stage:
                blocks.append(HybridBlock(channels, block, spec.act, norm))
                channels = block.widths[-1]
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """Return the map of the last stage."""
        return self.stages(self.stem(image_NCHW))


def hybrid_backbone(in_channels: int, spec: HybridStemSpec, norm: str) -> nn.Layer:
    """Return the backbone of a hybrid: the stem alone where there are no stages, as in the published weights."""
    if not spec.stages:
        return HybridStem(in_channels, spec.width, spec.act, norm)
    return HybridBackbone(in_channels, spec, norm)
