"""Cost of ResNet, Wide ResNet, ResNeXt, SE-ResNet, CIFAR ResNet and plain networks."""

from ppresnet.models.cost.count import Cost, conv_norm, linear, squeeze_excite, stem, strided
from ppresnet.spec import BlockSpec, ResNetSpec


def resnet(spec: ResNetSpec, size: int) -> Cost:
    """Return the cost of a residual network for a square image of `size` pixels."""
    channels = spec.stem.width
    total, size = stem(spec.stem, spec.in_channels, size, conv_norm)
    for stage in spec.stages:
        for block in stage:
            total += _block(block, channels, size)
            channels, size = block.widths[-1], strided(size, block.stride)
    return total + linear(channels, spec.num_classes)


def _block(block: BlockSpec, channels: int, size: int) -> Cost:
    after = strided(size, block.stride)
    widths = block.widths
    if block.kind == "basic":
        total = conv_norm(channels, widths[0], 3, after, block.groups) + conv_norm(widths[0], widths[1], 3, after)
    else:
        total = conv_norm(channels, widths[0], 1, size)
        total += conv_norm(widths[0], widths[1], 3, after, block.groups)
        total += conv_norm(widths[1], widths[2], 1, after)
    if block.skip == "projection":
        total += conv_norm(channels, widths[-1], 1, after)
    if block.se:
        total += squeeze_excite(widths[-1], block.se)
    return total
