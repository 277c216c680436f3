"""Cost of DenseNet."""

from ppresnet.models.cost.count import Cost, conv, conv_norm, linear, norm, stem
from ppresnet.spec import DenseLayerSpec, DenseNetSpec


def densenet(spec: DenseNetSpec, size: int) -> Cost:
    """Return the cost of a densely connected network for a square image of `size` pixels."""
    channels = spec.stem.width
    total, size = stem(spec.stem, spec.in_channels, size, conv_norm if spec.stem.kind == "imagenet" else conv)
    for stage, transition in zip(spec.stages, (*spec.transitions, None), strict=True):
        for layer in stage:
            total += _layer(layer, channels, size)
            channels += layer.growth
        if transition is not None:
            total += norm(channels) + conv(channels, transition, 1, size)
            channels, size = transition, size // 2
    return total + norm(channels) + linear(channels, spec.num_classes)


def _layer(layer: DenseLayerSpec, channels: int, size: int) -> Cost:
    total = norm(channels)
    if layer.bottleneck is not None:
        total += conv_norm(channels, layer.bottleneck, 1, size)
        channels = layer.bottleneck
    return total + conv(channels, layer.growth, 3, size)
