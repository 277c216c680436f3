"""Pre-activation ResNet and wide residual networks for CIFAR."""

from collections.abc import Mapping

from paddle import Tensor, nn

from ppresnet.errors import ConfigError
from ppresnet.layers import BareConv, Level, NormAct, PreActResidual
from ppresnet.models.resnet import Head
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


class PreActResNet(nn.Layer):
    """A pre-activation network built from its spec (He et al. 2016, arXiv:1603.05027).

    Args:
        spec: the architecture; kept as `self.spec`.

    Attributes:
        pyramid: channels and stride of each map that `features` returns, one a stage.

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
        total = sum(len(stage) for stage in spec.stages)
        channels, stride, index = spec.stem.width, stem.STRIDE, 0
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
        self.after = NormAct(channels, spec.act, spec.norm)
        self.head = Head(channels, spec.num_classes, spec.dropout if spec.dropout_at == "head" else 0.0)

    def features(self, image_NCHW: Tensor) -> tuple[Tensor, ...]:
        """Return the output of each stage, finest first, as `pyramid` says; the last one normalised and activated."""
        x_NCHW = self.stem(image_NCHW)
        maps = []
        for stage in self.stages:
            x_NCHW = stage(x_NCHW)
            maps.append(x_NCHW)
        return (*maps[:-1], self.after(x_NCHW))

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """Return the logits, float32 [batch, num_classes], of float32 images [batch, in_channels, height, width]."""
        return self.head(self.features(image_NCHW)[-1])


def _block(block: PreActBlockSpec, in_channels: int, spec: PreActSpec, drop_path: float) -> PreActResidual:
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
