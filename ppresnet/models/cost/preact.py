"""Cost of pre-activation ResNet and wide residual networks."""

from ppresnet.models.cost.count import Cost, conv, linear, norm, stem, strided
from ppresnet.spec import PreActBlockSpec, PreActSpec

KERNELS = {"basic": (3, 3), "bottleneck": (1, 3, 1)}


def preact(spec: PreActSpec, size: int) -> Cost:
    """Return the cost of a pre-activation network for a square image of `size` pixels."""
    channels = spec.stem.width
    total, size = stem(spec.stem, spec.in_channels, size, conv)
    for stage in spec.stages:
        for block in stage:
            total += _block(block, channels, size)
            channels, size = block.widths[-1], strided(size, block.stride)
    return total + norm(channels) + linear(channels, spec.num_classes)


def _block(block: PreActBlockSpec, in_channels: int, size: int) -> Cost:
    after = strided(size, block.stride)
    total = conv(in_channels, block.widths[-1], 1, after) if block.skip == "projection" else Cost()
    channels = in_channels
    for index, (width, kernel) in enumerate(zip(block.widths, KERNELS[block.kind], strict=True)):
        side = size if index < block.strided else after
        total += norm(channels) + conv(channels, width, kernel, side)
        channels = width
    return total
