"""Pre-activation ResNet and wide residual networks for CIFAR."""

from collections.abc import Mapping
from functools import partial

from paddle import Tensor, nn

from ppresnet.errors import ConfigError
from ppresnet.layers import BareConv, Head, Level, NormAct, PreActResidual
from ppresnet.models.staged import StagedNetwork, stacked
from ppresnet.spec import PreActBlockSpec, PreActSpec


class BareCifarStem(BareConv):
    """A 3x3 convolution at full resolution; the first block normalises and activates."""

    STRIDE = 1

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__(in_channels, width, kernel=3)


class BareImageNetStem(nn.Layer):
    """A 7x7 stride-2 convolution and a 3x3 stride-2 max pool; the first block normalises and activates."""

    STRIDE = 4

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.conv = BareConv(in_channels, width, kernel=7, stride=2)
        self.pool = nn.MaxPool2D(3, stride=2, padding=1)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return float32 [batch, width, height / 4, width / 4]."""
        return self.pool(self.conv(x_NCHW))


STEMS: Mapping[str, type[BareCifarStem] | type[BareImageNetStem]] = {
    "cifar": BareCifarStem,
    "imagenet": BareImageNetStem,
}


class PreActResNet(StagedNetwork):
    """A pre-activation network built from its spec (He et al. 2016, arXiv:1603.05027).

    Args:
        spec: the architecture; kept as `self.spec`.

    Raises:
        ConfigError: a block's skip does not match its branch, or `zero_init_gamma` is set.
    """

    def __init__(self, spec: PreActSpec) -> None:
        super().__init__()
        if spec.zero_init_gamma:
            raise ConfigError(
                "zero_init_gamma: expected false for a pre-activation network, whose branches end in a convolution "
                "and so have no last gamma; found true"
            )
        self.spec = spec
        stem = STEMS[spec.stem.kind]
        self.stem = stem(spec.in_channels, spec.stem.width)
        entry = Level(spec.stem.width, stem.STRIDE)
        self.stages, self.pyramid = stacked(spec.stages, entry, spec.drop_path, partial(_block, spec))
        channels = self.pyramid[-1].channels
        self.after = NormAct(channels, spec.act, spec.norm)
        self.head = Head(channels, spec.num_classes, spec.dropout if spec.dropout_at == "head" else 0.0)

    def features(self, image_NCHW: Tensor) -> tuple[Tensor, ...]:
        """Return the output of each stage, finest first, as `pyramid` says; the last one normalised and activated."""
        maps = self._maps(image_NCHW)
        return (*maps[:-1], self.after(maps[-1]))


def _block(spec: PreActSpec, block: PreActBlockSpec, in_channels: int, drop_path: float) -> PreActResidual:
    return PreActResidual(
        block.kind,
        in_channels,
        block.widths,
        block.skip,
        block.stride,
        block.strided,
        block.shared,
        spec.act,
        spec.norm,
        drop_path,
        spec.dropout if spec.dropout_at == "branch" else 0.0,
        block.pad_before,
    )
