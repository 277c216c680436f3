"""Highway and sparse gated networks for small images."""

from functools import partial

from paddle import nn

from ppresnet.layers import CifarStem, Head, Level
from ppresnet.layers.gated_blocks import HighwayBlock, SparseGatedBlock
from ppresnet.models.staged import StagedNetwork, stacked, start_as_skips
from ppresnet.spec.gated import GatedBlockSpec, GatedSpec, HighwayGateSpec


class GatedNet(StagedNetwork):
    """A residual network whose skips have gates, built from its spec (Srivastava et al. 2015, arXiv:1505.00387).

    Args:
        spec: the architecture; kept as `self.spec`.

    Raises:
        ConfigError: a block's skip does not match its branch.
    """

    def __init__(self, spec: GatedSpec) -> None:
        super().__init__()
        self.spec = spec
        self.stem = CifarStem(spec.in_channels, spec.stem, spec.act, spec.norm)
        entry = Level(spec.stem, CifarStem.STRIDE)
        self.stages, self.pyramid = stacked(spec.stages, entry, spec.drop_path, partial(_block, spec))
        self.head = Head(self.pyramid[-1].channels, spec.num_classes, spec.dropout)
        if spec.zero_init_gamma:
            start_as_skips(block.branch[-1].norm for stage in self.stages for block in stage)


def _block(spec: GatedSpec, block: GatedBlockSpec, in_channels: int, drop_path: float) -> nn.Layer:
    shape = (in_channels, block.widths, block.skip, block.stride)
    gate, rest = block.gate, (spec.act, spec.norm, drop_path, block.pad_before)
    if isinstance(gate, HighwayGateSpec):
        return HighwayBlock(*shape, gate.kernel, gate.bias, *rest)
    return SparseGatedBlock(*shape, gate.over, gate.threshold, gate.bias, *rest)
