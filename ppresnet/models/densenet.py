"""DenseNet for ImageNet and for CIFAR."""

from paddle import Tensor, nn

from ppresnet.layers import BareConv, DenseLayer, Head, ImageNetStem, Level, NormAct, Transition
from ppresnet.layers.drop_path import linear_rates
from ppresnet.models.staged import StagedNetwork
from ppresnet.spec import DenseNetSpec


class DenseNet(StagedNetwork):
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
        rates = iter(linear_rates(spec.drop_path, sum(map(len, spec.stages))))
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


def _stem(spec: DenseNetSpec) -> tuple[nn.Layer, int]:
    if spec.stem.kind == "imagenet":
        return ImageNetStem(spec.in_channels, spec.stem.width, spec.act, spec.norm), ImageNetStem.STRIDE
    return BareConv(spec.in_channels, spec.stem.width, 3), 1
