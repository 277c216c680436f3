"""Networks of blocks of continuous depth for small images."""

from paddle import Tensor, nn

from ppresnet.layers import BasicBlock, CifarStem, Level
from ppresnet.layers.ode import ODEBlock
from ppresnet.layers.ode_function import ODEFunction
from ppresnet.models.resnet import Head
from ppresnet.spec.ode import ODENetSpec, ODEStageSpec


class ODENet(nn.Layer):
    """A network whose stages integrate an ODE, built from its spec (Chen et al. 2018, arXiv:1806.07366).

    `ppresnet.layers.ode.evaluations` says how often the function of each stage was evaluated.

    Args:
        spec: the architecture; kept as `self.spec`.

    Attributes:
        pyramid: channels and stride of each map that `features` returns, one a stage.

    Raises:
        ConfigError: the skip of an entry does not match its branch.
    """

    def __init__(self, spec: ODENetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.stem = CifarStem(spec.in_channels, spec.stem, spec.act, spec.norm)
        last = max(sum(1 + (stage.entry is not None) for stage in spec.stages) - 1, 1)
        channels, stride, index = spec.stem, CifarStem.STRIDE, 0
        stages, levels = [], []
        for stage in spec.stages:
            blocks = []
            if stage.entry is not None:
                blocks.append(_entry(stage, channels, spec, spec.drop_path * index / last))
                channels, stride, index = stage.entry.widths[-1], stride * stage.entry.stride, index + 1
            blocks.append(_continuous(stage, channels, spec, spec.drop_path * index / last))
            index += 1
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


def _entry(stage: ODEStageSpec, in_channels: int, spec: ODENetSpec, drop_path: float) -> nn.Layer:
    entry = stage.entry
    assert entry is not None  # noqa: S101
    shape = (in_channels, entry.widths, entry.skip, entry.stride)
    return BasicBlock(*shape, act=spec.act, drop_path=drop_path, norm=spec.norm)


def _continuous(stage: ODEStageSpec, channels: int, spec: ODENetSpec, drop_path: float) -> nn.Layer:
    function = ODEFunction(channels, stage.hidden, spec.act, spec.norm)
    solver = spec.solver.model_dump()
    return ODEBlock(function, solver.pop("kind"), **solver, backward=spec.backward, drop_path=drop_path)


def _zero_last_gammas(stages: nn.Sequential) -> None:
    for stage in stages:
        for block in stage:
            gamma = block.function.norm3.weight if isinstance(block, ODEBlock) else block.branch[-1].norm.weight
            gamma.set_value(gamma * 0.0)
