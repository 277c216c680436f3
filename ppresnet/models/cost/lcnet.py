"""Cost of PP-LCNet."""

from ppresnet.models.cost.count import Cost, conv_norm, linear, squeeze_excite, strided
from ppresnet.spec import LCNetSpec


def lcnet(spec: LCNetSpec, size: int) -> Cost:
    """Return the cost of a PP-LCNet for a square image of `size` pixels."""
    channels, size = spec.stem, strided(size, 2)
    total = conv_norm(spec.in_channels, channels, 3, size)
    for stage in spec.stages:
        for block in stage:
            size = strided(size, block.stride)
            total += conv_norm(channels, channels, block.kernel, size, groups=channels)
            if block.reduced is not None:
                total += squeeze_excite(channels, block.reduced)
            total += conv_norm(channels, block.width, 1, size)
            channels = block.width
    return total + linear(channels, spec.hidden) + linear(spec.hidden, spec.num_classes)
