"""Layers of Paddle run by oneDNN: which of them can be, and how."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import paddle
from paddle import Tensor, nn

from ppresnet.onednn.api import FLOAT32
from ppresnet.onednn.batch_norm import NormPlan, NormShape, Statistics
from ppresnet.onednn.block import Block, BlockPlan
from ppresnet.onednn.cache import PrimitiveCache
from ppresnet.onednn.convolution import ConvolutionPlan, ConvolutionShape
from ppresnet.onednn.functions import BatchNorm, Convolution, Relu
from ppresnet.onednn.library import Library, OneDnnError
from ppresnet.onednn.relu import ReluPlan, ReluShape
from ppresnet.onednn.session import Session
from ppresnet.onednn.unit import Unit, UnitShape
from ppresnet.onednn.wide import unit_plan
from ppresnet.onednn.zero_pad import PadPlan, PadShape, ZeroPad

PLANS = 512  # a DenseNet-121 has about 200 different layers
Plan = TypeVar("Plan")


class Kernels:
    """Runs convolutions, normalisations, units of both, and ReLUs, in training.

    A method returns None for what only Paddle's own kernels can do. Evaluation is left to those too, so that it does
    not depend on this switch.

    Args:
        library: the library.
        compute: type of the inputs of convolutions, `FLOAT32` or `BFLOAT16`; tensors and statistics are float32.
        units: classes whose forward is act(norm(conv(x))) of attributes with these names.
        capacity: how many shapes keep their primitives.
    """

    def __init__(
        self, library: Library, compute: int = FLOAT32, units: Sequence[type[nn.Layer]] = (), capacity: int = PLANS
    ) -> None:
        self.library = library
        self.compute = compute
        self.units = tuple(units)
        self.cache: PrimitiveCache[Any] = PrimitiveCache(capacity)
        self._session = Session(library)

    def convolve(self, layer: nn.Conv2D, source: Tensor) -> Tensor | None:
        """Return what `nn.Conv2D` returns."""
        shape = convolution_shape(layer, source)
        if shape is None:
            return None
        plan = self._plan(shape, lambda: ConvolutionPlan(self.library, shape, self.compute))
        if plan is None:
            return None
        return Convolution.apply(source, layer.weight, layer.bias, plan, self._session)

    def normalise(self, layer: nn.BatchNorm2D, source: Tensor) -> Tensor | None:
        """Return what `nn.BatchNorm2D` returns, and move its running statistics where they are not frozen."""
        if not normalises(layer, source):
            return None
        shape = NormShape(tuple(source.shape), layer._epsilon, relu=False, frozen=bool(layer._use_global_stats))
        plan = self._plan(shape, lambda: NormPlan(self.library, shape))
        if plan is None:
            return None
        statistics = statistics_of(layer)
        result = BatchNorm.apply(source, layer.weight, layer.bias, plan, self._session, statistics)
        move_statistics(layer, statistics)
        return result

    def rectify(self, layer: nn.ReLU, source: Tensor) -> Tensor | None:
        """Return what `nn.ReLU` returns."""
        if not runs_here(layer, source):
            return None
        shape = ReluShape(tuple(source.shape))
        plan = self._plan(shape, lambda: ReluPlan(self.library, shape))
        return None if plan is None else Relu.apply(source, plan, self._session)

    def run_unit(self, layer: nn.Layer, source: Tensor) -> Tensor | None:
        """Return act(norm(conv(source))) of a layer with `conv`, `norm` and `act`; a ReLU becomes part of the norm."""
        shape = unit_shape(layer, source)
        if shape is None:
            return None
        plan = self._plan(shape, lambda: unit_plan(self.library, shape, self.compute))
        if plan is None:
            return None
        convolution, norm = layer.conv, layer.norm
        statistics = statistics_of(norm)
        result = Unit.apply(source, convolution.weight, norm.weight, norm.bias, plan, self._session, statistics)
        move_statistics(norm, statistics)
        return result if shape.norm.relu else layer.act(result)

    def run_block(self, layer: nn.Layer, source: Tensor) -> Tensor | None:
        """Return act(skip(x) + branch(x)) of a layer with `branch`, a chain of units, `skip` and `act`, a ReLU."""
        shapes = block_shapes(layer, source, self.units)
        if shapes is None:
            return None
        plan = self._plan(shapes, lambda: BlockPlan(self.library, shapes, self.compute))
        if plan is None:
            return None
        identity = layer.skip(source)
        separate = None if identity is source else identity
        statistics = [statistics_of(unit.norm) for unit in layer.branch]
        parameters = [one for unit in layer.branch for one in (unit.conv.weight, unit.norm.weight, unit.norm.bias)]
        result = Block.apply(plan, self._session, statistics, source, separate, *parameters)
        for unit, own in zip(layer.branch, statistics, strict=True):
            move_statistics(unit.norm, own)
        return result

    def pad(self, layer: nn.Layer, source: Tensor) -> Tensor | None:
        """Return every n-th pixel with zero channels around it, of a layer with `stride`, `before` and `after`."""
        if not runs_here(layer, source) or layer.stride == 1 or any(side % layer.stride for side in source.shape[2:]):
            return None  # oneDNN takes rows that do not end with a whole step for rows that overlap
        shape = PadShape(tuple(source.shape), layer.stride, layer.before, layer.after)
        plan = self._plan(shape, lambda: PadPlan(self.library, shape))
        return None if plan is None else ZeroPad.apply(source, plan, self._session)

    def _plan(self, shape: Any, make: Callable[[], Plan]) -> Plan | None:
        def make_or_tell() -> Plan | None:
            try:
                return make()
            except OneDnnError as error:
                if error.status != "unimplemented":
                    raise
                warnings.warn(f"{error}; Paddle's own kernels run {shape}", stacklevel=2)
                return None

        key = (shape, self.compute, self.library.threads())
        return self.cache.get(key, make_or_tell)  # type: ignore[no-any-return]


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
    """Return whether these kernels can run a normalisation of `source`, or of what has `shape` and is made of it."""
    return (
        runs_here(layer, source)
        and layer._data_format == "NCHW"
        and layer.weight is not None
        and layer.bias is not None
        and layer.weight.dtype == paddle.float32
        and (shape or source.shape)[1] == layer.weight.shape[0]
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


def block_shapes(layer: nn.Layer, source: Any, units: tuple[type[nn.Layer], ...]) -> tuple[UnitShape, ...] | None:
    """Return the shapes of the units of a block's branch where these kernels can run it as one, else None."""
    branch, others = layer.branch, set(layer._sub_layers) - {"branch", "skip", "act"}
    if (
        type(layer.act) is not nn.ReLU
        or any(type(layer._sub_layers[name]) is not nn.Identity for name in others)
        or any(type(unit) not in units for unit in branch)
        or watched(*layer.children(), *branch)
    ):
        return None
    shapes: list[UnitShape] = []
    for unit in branch:
        shape = unit_shape(unit, source, shapes[-1].convolution.destination if shapes else None)
        if shape is None or type(unit.act) is not (nn.Identity if unit is branch[-1] else nn.ReLU):
            return None
        shapes.append(shape)
    return tuple(shapes)


def watched(*layers: nn.Layer) -> bool:
    """Return whether a layer has hooks, which would not be called."""
    return any(layer._forward_pre_hooks or layer._forward_post_hooks for layer in layers)


def statistics_of(layer: nn.BatchNorm2D) -> Statistics:
    """Return the running statistics where a normalisation uses them in training too, else room for those of a batch."""
    if layer._use_global_stats:
        return Statistics(layer._mean, layer._variance)
    return Statistics(*(paddle.empty(layer.weight.shape, "float32") for _ in range(2)))


@paddle.no_grad()  # type: ignore[untyped-decorator]
def move_statistics(layer: nn.BatchNorm2D, batch: Statistics) -> None:
    """Move the running statistics as Paddle does: running * momentum + batch * (1 - momentum), biased variance."""
    if layer._use_global_stats:
        return
    momentum = layer._momentum
    for running, new in ((layer._mean, batch.mean), (layer._variance, batch.variance)):
        running.scale_(momentum)
        running.add_(new.scale(1.0 - momentum))
