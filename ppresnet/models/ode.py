"""Networks of blocks of continuous depth for small images."""

from paddle import nn

from ppresnet.layers import BasicBlock, CifarStem, Head, Level, Stage
from ppresnet.layers.drop_path import linear_rates
from ppresnet.layers.ode import ODEBlock
from ppresnet.layers.ode_function import ODEFunction
from ppresnet.models.staged import StagedNetwork, start_as_skips
from ppresnet.spec.ode import ODENetSpec, ODEStageSpec


class ODENet(StagedNetwork):
    """A network whose stages integrate an ODE, built from its spec (Chen et al. 2018, arXiv:1806.07366).

    `ppresnet.layers.ode.evaluations` says how often the function of each stage was evaluated.

    Args:
        spec: the architecture; kept as `self.spec`.

    Raises:
        ConfigError: the skip of an entry does not match its branch.
    """

    def __init__(self, spec: ODENetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.stem = CifarStem(spec.in_channels, spec.stem, spec.act, spec.norm)
        rates = iter(linear_rates(spec.drop_path, sum(1 + (stage.entry is not None) for stage in spec.stages)))
        channels, stride = spec.stem, CifarStem.STRIDE
        stages, levels = [], []
        for stage in spec.stages:
            blocks = []
            if stage.entry is not None:
                blocks.append(_entry(stage, channels, spec, next(rates)))
                channels, stride = stage.entry.widths[-1], stride * stage.entry.stride
            blocks.append(_continuous(stage, channels, spec, next(rates)))
            stages.append(Stage(*blocks))
            levels.append(Level(channels, stride))
        self.stages = nn.Sequential(*stages)
        self.pyramid = tuple(levels)
        self.head = Head(channels, spec.num_classes, spec.dropout)
        if spec.zero_init_gamma:
            start_as_skips(_last_norm(block) for stage in self.stages for block in stage)


def _entry(stage: ODEStageSpec, in_channels: int, spec: ODENetSpec, drop_path: float) -> nn.Layer:
    entry = stage.entry
    assert entry is not None  # noqa: S101
    shape = (in_channels, entry.widths, entry.skip, entry.stride)
    return BasicBlock(*shape, act=spec.act, drop_path=drop_path, norm=spec.norm)


def _continuous(stage: ODEStageSpec, channels: int, spec: ODENetSpec, drop_path: float) -> nn.Layer:
    function = ODEFunction(channels, stage.hidden, spec.act, spec.norm)
    solver = spec.solver.model_dump()
    return ODEBlock(function, solver.pop("kind"), **solver, backward=spec.backward, drop_path=drop_path)


def _last_norm(block: nn.Layer) -> nn.Layer:
    return block.function.norm3 if isinstance(block, ODEBlock) else block.branch[-1].norm
