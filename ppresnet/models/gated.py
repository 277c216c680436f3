"""Highway and sparse gated networks for small images."""

from paddle import Tensor, nn

from ppresnet.layers import CifarStem, Level
from ppresnet.layers.gated_blocks import HighwayBlock, SparseGatedBlock
from ppresnet.models.resnet import Head
from ppresnet.spec.gated import GatedBlockSpec, GatedSpec, HighwayGateSpec


class GatedNet(nn.Layer):
    """A residual network whose skips have gates, built from its spec (Srivastava et al. 2015, arXiv:1505.00387).

    Args:
        spec: the architecture; kept as `self.spec`.

    Attributes:
        pyramid: channels and stride of each map that `features` returns, one a stage.

    Raises:
        ConfigError: a block's skip does not match its branch.
    """

    def __init__(self, spec: GatedSpec) -> None:
        super().__init__()
        self.spec = spec
        self.stem = CifarStem(spec.in_channels, spec.stem, spec.act, spec.norm)
        last = max(sum(len(stage) for stage in spec.stages) - 1, 1)
        channels, stride, index = spec.stem, CifarStem.STRIDE, 0
        stages, levels = [], []
        for stage in spec.stages:
            blocks = []
            for block in stage:
                blocks.append(_block(block, channels, spec, spec.drop_path * index / last))
                channels, stride, index = block.widths[-1], stride * block.stride, index + 1
            stages.append(nn.Sequential(*blocks))
            levels.append(Level(channels, stride))
        self.stages = nn.Sequential(*stages)
        self.pyramid = tuple(levels)
        self.head = Head(channels, spec.num_classes, spec.dropout)
        if spec.zero_init_gamma:
            _zero_last_gammas(self.stages)

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


def _block(block: GatedBlockSpec, in_channels: int, spec: GatedSpec, drop_path: float) -> nn.Layer:
    shape = (in_channels, block.widths, block.skip, block.stride)
    gate, rest = block.gate, (spec.act, spec.norm, drop_path, block.pad_before)
    if isinstance(gate, HighwayGateSpec):
        return HighwayBlock(*shape, gate.kernel, gate.bias, *rest)
    return SparseGatedBlock(*shape, gate.over, gate.threshold, gate.bias, *rest)


def _zero_last_gammas(stages: nn.Sequential) -> None:
    for stage in stages:
        for block in stage:
            gamma = block.branch[-1].norm.weight
            gamma.set_value(gamma * 0.0)
