"""Which layers these kernels can run, and of which shape."""

from collections.abc import Sequence
from typing import Any

import paddle
from paddle import nn

from ppresnet.onednn.batch_norm import NormShape
from ppresnet.onednn.block import BlockShape
from ppresnet.onednn.convolution_kernels import ConvolutionShape
from ppresnet.onednn.unit import UnitShape
from ppresnet.onednn.wide import BLOCK


def runs_here(layer: nn.Layer, source: Any) -> bool:
    """Return whether this call is one of training, in dynamic mode, on float32 images in the memory of the CPU."""
    return bool(
        layer.training
        and paddle.in_dynamic_mode()
        and isinstance(source, paddle.Tensor)
        and source.ndim == 4
        and source.dtype == paddle.float32
        and source.place.is_cpu_place()
        and 0 not in source.shape
    )


def convolution_shape(layer: nn.Conv2D, source: Any, shape: tuple[int, ...] | None = None) -> ConvolutionShape | None:
    """Return the shape of a convolution of `source`, or of what has `shape` and is made of it, or None.

    None stands for what these kernels cannot run.
    """
    weights, taken = layer.weight, tuple(shape or source.shape) if runs_here(layer, source) else ()
    if (
        not taken
        or layer._data_format != "NCHW"
        or layer._padding_mode != "zeros"
        or layer._padding_algorithm == "SAME"
        or weights.dtype != paddle.float32
        or taken[1] != weights.shape[1] * layer._groups
    ):
        return None
    padding = layer._updated_padding
    begin, end = (padding, padding) if len(padding) == 2 else (padding[0::2], padding[1::2])
    found = ConvolutionShape(
        source=taken,
        weights=tuple(weights.shape),
        bias=layer.bias is not None,
        strides=tuple(layer._stride),
        dilations=tuple(layer._dilation),
        begin=tuple(begin),
        end=tuple(end),
        groups=layer._groups,
    )
    return found if min(found.destination) > 0 else None


def normalises(layer: nn.BatchNorm2D, source: Any, shape: tuple[int, ...] | None = None) -> bool:
    """Return whether these kernels can run a normalisation of `source`, or of what has `shape` and is made of it.

    Paddle passes on what has one value a channel, and leaves the running statistics as they are.
    """
    if not runs_here(layer, source):
        return False
    batch, channels, height, width = shape or source.shape
    return (
        (layer._use_global_stats or batch * height * width > 1)
        and layer._data_format == "NCHW"
        and layer.weight is not None
        and layer.bias is not None
        and layer.weight.dtype == paddle.float32
        and channels == layer.weight.shape[0]
    )


def unit_shape(layer: nn.Layer, source: Any, shape: tuple[int, ...] | None = None) -> UnitShape | None:
    """Return the shape of a unit that these kernels can run without anybody seeing that it ran as one, else None.

    Args:
        layer: with a convolution `conv`, a normalisation `norm` and an activation `act`, which is left out if no ReLU.
        source: the input of the unit, or an earlier tensor that it is made of.
        shape: of the input; None: that of `source`.
    """
    conv, norm, act = layer.conv, layer.norm, layer.act
    if type(conv) is not nn.Conv2D or type(norm) is not nn.BatchNorm2D or watched(conv, norm, act):
        return None
    found = convolution_shape(conv, source, shape)
    if found is None or found.bias or not normalises(norm, source, found.destination):
        return None
    relu, frozen = type(act) is nn.ReLU, bool(norm._use_global_stats)
    return UnitShape(found, NormShape(found.destination, norm._epsilon, relu, frozen))


def block_shapes(
    layer: nn.Layer, source: Any, units: tuple[type[nn.Layer], ...], shape: tuple[int, ...] | None = None
) -> BlockShape | None:
    """Return the shapes of the units of a block's branch where these kernels can run it as one, else None.

    Args:
        layer: with a chain of units `branch`, a `skip` and an `act`.
        source: the input of the block, or an earlier tensor that it is made of.
        units: classes of units.
        shape: of the input; None: that of `source`.
    """
    branch, others = layer.branch, set(layer._sub_layers) - {"branch", "skip", "act"}
    if (
        type(layer.act) is not nn.ReLU
        or any(type(layer._sub_layers[name]) is not nn.Identity for name in others)
        or any(type(unit) not in units for unit in branch)
        or watched(*layer.children(), *branch)
    ):
        return None
    found: list[UnitShape] = []
    for unit in branch:
        own = unit_shape(unit, source, found[-1].convolution.destination if found else shape)
        if own is None or type(unit.act) is not (nn.Identity if unit is branch[-1] else nn.ReLU):
            return None
        found.append(own)
    return tuple(found)


def chain_shapes(
    blocks: Sequence[nn.Layer], source: Any, units: tuple[type[nn.Layer], ...], shape: tuple[int, ...] | None = None
) -> tuple[BlockShape, ...] | None:
    """Return the shapes of blocks that these kernels can run as one each, all from one shape to the same.

    Args:
        blocks: one behind another.
        source: the input of the first, or an earlier tensor that it is made of.
        units: classes of units.
        shape: of the input; None: that of `source`.

    Returns:
        None for what they cannot run, or would fill up with channels of zeros.
    """
    taken = tuple(shape or source.shape)
    found = [None if watched(block) else block_shapes(block, source, units, shape) for block in blocks]
    shapes = tuple(one for one in found if one is not None and one[-1].norm.source == taken)
    return shapes if len(shapes) == len(blocks) and taken[1] % BLOCK == 0 else None


def watched(*layers: nn.Layer) -> bool:
    """Return whether a layer has hooks, which would not be called."""
    return any(layer._forward_pre_hooks or layer._forward_post_hooks for layer in layers)
