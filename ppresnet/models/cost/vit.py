"""Cost of vision transformers, alone and behind a ResNet stem."""

from ppresnet.models.cost.count import Cost, conv_norm, linear, strided
from ppresnet.spec.vit import HybridStemSpec, ViTSpec


def vit(spec: ViTSpec, size: int) -> Cost:
    """Return the cost of a vision transformer for a square image of `size` pixels, positions for `size` included."""
    total, channels, grid = Cost(), spec.in_channels, size // spec.stride
    if spec.stem is not None:
        stem, channels = _stem(spec.stem, spec.in_channels, size)
        total += stem
    tokens = grid * grid + 1
    total += linear(channels * spec.patch**2, spec.width, grid * grid)
    total += Cost(spec.width * (1 + tokens))  # class token and positions
    for block in spec.blocks:
        inner = block.heads * block.head_dim
        total += Cost(4 * spec.width)  # two normalisations
        total += linear(spec.width, 3 * inner, tokens) + linear(inner, spec.width, tokens)
        total += linear(spec.width, block.mlp, tokens) + linear(block.mlp, spec.width, tokens)
    return total + Cost(2 * spec.width) + linear(spec.width, spec.num_classes)


def _stem(spec: HybridStemSpec, in_channels: int, size: int) -> tuple[Cost, int]:
    """Return the cost of a ResNet stem and the channels that it gives."""
    size, channels = strided(size, 2), spec.width
    total = conv_norm(in_channels, channels, 7, size)
    size = strided(size, 2)
    for stage in spec.stages:
        for block in stage:
            first, second, last = block.widths
            after = strided(size, block.stride)
            total += conv_norm(channels, first, 1, size) + conv_norm(first, second, 3, after)
            total += conv_norm(second, last, 1, after)
            if block.skip == "projection":
                total += conv_norm(channels, last, 1, after)
            channels, size = last, after
    return total, channels
