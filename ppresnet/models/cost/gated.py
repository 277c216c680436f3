"""Cost of highway and sparse gated networks."""

from ppresnet.models.cost.count import Cost, conv, conv_norm, linear, strided
from ppresnet.spec.gated import GatedBlockSpec, GatedSpec, HighwayGateSpec


def gated(spec: GatedSpec, size: int) -> Cost:
    """Return the cost of a gated network for a square image of `size` pixels."""
    channels = spec.stem
    total = conv_norm(spec.in_channels, channels, 3, size)
    for stage in spec.stages:
        for block in stage:
            after = strided(size, block.stride)
            total += _branch(block, channels, after) + _gate(block, channels, after)
            channels, size = block.widths[-1], after
    return total + linear(channels, spec.num_classes)


def _branch(block: GatedBlockSpec, channels: int, size: int) -> Cost:
    first, last = block.widths
    total = conv_norm(channels, first, 3, size) + conv_norm(first, last, 3, size)
    return total + conv_norm(channels, last, 1, size) if block.skip == "projection" else total


def _gate(block: GatedBlockSpec, channels: int, size: int) -> Cost:
    gate, width = block.gate, block.widths[-1]
    if isinstance(gate, HighwayGateSpec):
        return conv(channels, width, gate.kernel, size, bias=True)
    if gate.over == "channel":
        return conv(width, width, 1, 1, bias=True)
    return conv(width, 1, 1, size, bias=True)
