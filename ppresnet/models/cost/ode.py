"""Cost of networks of blocks of continuous depth."""

from ppresnet.models.cost.count import Cost, conv, conv_norm, linear, norm, strided
from ppresnet.spec.ode import ODENetSpec

EVALUATIONS = {"euler": 1, "rk4": 4}  # of a step
FEWEST = 8  # of dopri5: the first slope, the one that the first length is chosen by, and six of one step


def ode(spec: ODENetSpec, size: int) -> Cost:
    """Return the cost of an ODE network for a square image of `size` pixels.

    An adaptive solver takes steps by the image; the MACs are those of a single step for each block, which is the least.
    """
    solver, channels = spec.solver, spec.stem
    evaluations = FEWEST if solver.kind == "dopri5" else EVALUATIONS[solver.kind] * solver.steps
    total = conv_norm(spec.in_channels, channels, 3, size)
    for stage in spec.stages:
        if stage.entry is not None:
            first, last = stage.entry.widths
            size = strided(size, stage.entry.stride)
            total += conv_norm(channels, first, 3, size) + conv_norm(first, last, 3, size)
            if stage.entry.skip == "projection":
                total += conv_norm(channels, last, 1, size)
            channels = last
        total += _function(channels, stage.hidden, size, evaluations)
    return total + linear(channels, spec.num_classes)


def _function(channels: int, hidden: int, size: int, evaluations: int) -> Cost:
    once = conv(channels, hidden, 3, size, bias=True) + conv(hidden, channels, 3, size, bias=True)
    times = Cost(hidden + channels)  # the slopes of the biases
    norms = norm(channels) + norm(hidden) + norm(channels)
    return Cost(once.params, once.macs * evaluations) + times + norms
