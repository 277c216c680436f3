"""ResNet, Wide ResNet, ResNeXt, SE-ResNet, CIFAR ResNet and the plain networks they are compared with."""

import math
from collections.abc import Mapping

from paddle import Tensor, nn

from ppresnet.layers import (
    BasicBlock,
    Bottleneck,
    CifarStem,
    ImageNetStem,
    Level,
    PlainBlock,
    Residual,
    basic_branch,
    bottleneck_branch,
)
from ppresnet.spec import BlockSpec, ResNetSpec

STEMS: Mapping[str, type[CifarStem] | type[ImageNetStem]] = {"cifar": CifarStem, "imagenet": ImageNetStem}
RESIDUAL: Mapping[str, type[BasicBlock] | type[Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck}
BRANCHES = {"basic": basic_branch, "bottleneck": bottleneck_branch}


class ResNet(nn.Layer):
    """A residual network built from its spec (He et al. 2015, arXiv:1512.03385).

    Args:
        spec: the architecture; kept as `self.spec`.

    Attributes:
        pyramid: channels and stride of each map that `features` returns, one a stage.

    Raises:
        ConfigError: a block's skip does not match its branch.
    """

    def __init__(self, spec: ResNetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.stem = STEMS[spec.stem.kind](spec.in_channels, spec.stem.width, spec.act, spec.norm)
        total = sum(len(stage) for stage in spec.stages)
        channels, stride, index = spec.stem.width, STEMS[spec.stem.kind].STRIDE, 0
        stages, levels = [], []
        for stage in spec.stages:
            blocks = []
            for block in stage:
                blocks.append(_block(block, channels, spec, spec.drop_path * index / max(total - 1, 1)))
                channels, stride, index = block.widths[-1], stride * block.stride, index + 1
            stages.append(nn.Sequential(*blocks))
            levels.append(Level(channels, stride))
        self.stages = nn.Sequential(*stages)
        self.pyramid = tuple(levels)
        self.head = Head(channels, spec.num_classes, spec.dropout)
        if spec.zero_init_gamma:
            _zero_last_gammas(self)

    def features(self, image_NCHW: Tensor) -> tuple[Tensor, ...]:
        """Return the output of each stage, finest first, as `pyramid` says."""
        x_NCHW = self.stem(image_NCHW)
        maps = []
        for stage in self.stages:
            x_NCHW = stage(x_NCHW)
            maps.append(x_NCHW)
        return tuple(maps)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """Return the logits, float32 [batch, num_classes], of float32 images [batch, in_channels, height, width]."""
        return self.head(self.features(image_NCHW)[-1])


class Head(nn.Layer):
    """Global average pooling, dropout and a linear classifier."""

    def __init__(self, in_channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        bound = 1.0 / math.sqrt(in_channels)
        self.fc = nn.Linear(in_channels, num_classes, weight_attr=nn.initializer.Uniform(-bound, bound))

    def forward(self, features_NCHW: Tensor) -> Tensor:
        """Return the logits, float32 [batch, num_classes]."""
        return self.fc(self.dropout(self.pool(features_NCHW).flatten(1)))


def _block(block: BlockSpec, in_channels: int, spec: ResNetSpec, drop_path: float) -> nn.Layer:
    shape = (block.stride, block.groups, spec.act)
    if block.skip == "none":
        return PlainBlock(BRANCHES[block.kind](in_channels, block.widths, *shape, spec.norm), spec.act, block.se)
    return RESIDUAL[block.kind](
        in_channels, block.widths, block.skip, *shape, drop_path, spec.norm, block.se, block.pad_before
    )


def _zero_last_gammas(model: nn.Layer) -> None:
    # With the last gamma at zero every block starts as its skip (Goyal et al. 2017, arXiv:1706.02677, section 5.1).
    for layer in model.sublayers():
        if isinstance(layer, Residual):
            gamma = layer.branch[-1].norm.weight
            gamma.set_value(gamma * 0.0)
