"""ResNet, Wide ResNet, ResNeXt, SE-ResNet, CIFAR ResNet and the plain networks they are compared with."""

from collections.abc import Mapping
from functools import partial

from paddle import nn

from ppresnet.layers import (
    BasicBlock,
    Bottleneck,
    CifarStem,
    Head,
    ImageNetStem,
    Level,
    PlainBlock,
    Residual,
    basic_branch,
    bottleneck_branch,
)
from ppresnet.models.staged import StagedNetwork, stacked, start_as_skips
from ppresnet.spec import BlockSpec, ResNetSpec

STEMS: Mapping[str, type[CifarStem] | type[ImageNetStem]] = {"cifar": CifarStem, "imagenet": ImageNetStem}
RESIDUAL: Mapping[str, type[BasicBlock] | type[Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck}
BRANCHES = {"basic": basic_branch, "bottleneck": bottleneck_branch}


class ResNet(StagedNetwork):
    """A residual network built from its spec (He et al. 2015, arXiv:1512.03385).

    Args:
        spec: the architecture; kept as `self.spec`.

    Raises:
        ConfigError: a block's skip does not match its branch.
    """

    def __init__(self, spec: ResNetSpec) -> None:
        super().__init__()
        self.spec = spec
        stem = STEMS[spec.stem.kind]
        self.stem = stem(spec.in_channels, spec.stem.width, spec.act, spec.norm)
        entry = Level(spec.stem.width, stem.STRIDE)
        self.stages, self.pyramid = stacked(spec.stages, entry, spec.drop_path, partial(_block, spec))
        self.head = Head(self.pyramid[-1].channels, spec.num_classes, spec.dropout)
        if spec.zero_init_gamma:
            start_as_skips(layer.branch[-1].norm for layer in self.sublayers() if isinstance(layer, Residual))


def _block(spec: ResNetSpec, block: BlockSpec, in_channels: int, drop_path: float) -> nn.Layer:
    shape = (block.stride, block.groups, spec.act)
    if block.skip == "none":
        return PlainBlock(BRANCHES[block.kind](in_channels, block.widths, *shape, spec.norm), spec.act, block.se)
    return RESIDUAL[block.kind](
        in_channels, block.widths, block.skip, *shape, drop_path, spec.norm, block.se, block.pad_before
    )
