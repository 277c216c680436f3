"""DenseNet for ImageNet and for CIFAR."""

from paddle import Tensor, nn

from ppresnet.layers import BareConv, DenseLayer, ImageNetStem, Level, NormAct, Transition
from ppresnet.models.resnet import Head
from ppresnet.spec import DenseNetSpec


class DenseNet(nn.Layer):
    """A densely connected network built from its spec (Huang et al. 2016, arXiv:1608.06993).

    Args:
        spec: the architecture; kept as `self.spec`.

    Attributes:
        pyramid: channels and stride of each map that `features` returns, one a stage. Transitions round sizes down,
            so a map is that fraction of the image where the coarsest stride divides it.
    """

    def __init__(self, spec: DenseNetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.stem, stride = _stem(spec)
        channels, levels = spec.stem.width, []
        rates = iter(_rates(spec))
        stages, transitions = [], []
        for stage, transition in zip(spec.stages, (*spec.transitions, None), strict=True):
            layers = []
            for layer in stage:
                shape = (channels, layer.growth, layer.bottleneck)
                layers.append(DenseLayer(*shape, spec.act, spec.norm, spec.dropout, next(rates)))
                channels += layer.growth
            stages.append(nn.Sequential(*layers))
            levels.append(Level(channels, stride))
            if transition is not None:
                transitions.append(Transition(channels, transition, spec.act, spec.norm))
                channels, stride = transition, stride * Transition.STRIDE
        self.stages = nn.Sequential(*stages)
        self.transitions = nn.LayerList(transitions)
        self.pyramid = tuple(levels)
        self.after = NormAct(channels, spec.act, spec.norm)
        self.head = Head(channels, spec.num_classes, dropout=0.0)

    def features(self, image_NCHW: Tensor) -> tuple[Tensor, ...]:
        """Return the output of each stage, finest first, as `pyramid` says; the last one normalised and activated."""
        x_NCHW = self.stem(image_NCHW)
        maps = []
        for index, stage in enumerate(self.stages):
            if index > 0:
                x_NCHW = self.transitions[index - 1](x_NCHW)
            x_NCHW = stage(x_NCHW)
            maps.append(x_NCHW)
        return (*maps[:-1], self.after(x_NCHW))

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """Return the logits, float32 [batch, num_classes], of float32 images [batch, in_channels, height, width]."""
        return self.head(self.features(image_NCHW)[-1])


def _stem(spec: DenseNetSpec) -> tuple[nn.Layer, int]:
    if spec.stem.kind == "imagenet":
        return ImageNetStem(spec.in_channels, spec.stem.width, spec.act, spec.norm), ImageNetStem.STRIDE
    return BareConv(spec.in_channels, spec.stem.width, 3), 1


def _rates(spec: DenseNetSpec) -> list[float]:
    total = sum(len(stage) for stage in spec.stages)
    return [spec.drop_path * index / max(total - 1, 1) for index in range(total)]
