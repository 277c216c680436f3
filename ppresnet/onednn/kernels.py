"""Layers of Paddle run by oneDNN: which of them can be, and how."""

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import paddle
from paddle import Tensor, nn

from ppresnet.onednn.batch_norm import Normalised, NormPlan, NormShape
from ppresnet.onednn.cache import PrimitiveCache
from ppresnet.onednn.convolution import ConvolutionPlan, ConvolutionShape
from ppresnet.onednn.functions import BatchNorm, Convolution, Relu, Unit, UnitPlan
from ppresnet.onednn.library import DST, FLOAT32, Library, OneDnnError
from ppresnet.onednn.relu import ReluPlan, ReluShape
from ppresnet.onednn.session import Session

PLANS = 512  # a DenseNet-121 has about 200 different layers
Plan = TypeVar("Plan")


class Kernels:
    """Runs convolutions, normalisations, units of both, and ReLUs, in training.

    A method returns None for what only Paddle's own kernels can do. Evaluation is left to those too, so that it does
    not depend on this switch.

    Args:
        library: the library.
        compute: type of the inputs of convolutions, `FLOAT32` or `BFLOAT16`; tensors and statistics are float32.
        capacity: how many shapes keep their primitives.
    """

    def __init__(self, library: Library, compute: int = FLOAT32, capacity: int = PLANS) -> None:
        self.library = library
        self.compute = compute
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
        """Return what `nn.BatchNorm2D` returns, and move its running statistics."""
        if not normalises(layer, source):
            return None
        shape = NormShape(tuple(source.shape), layer._epsilon, relu=False)
        plan = self._plan(shape, lambda: NormPlan(self.library, shape))
        if plan is None:
            return None
        found: list[Normalised] = []
        result = BatchNorm.apply(source, layer.weight, layer.bias, plan, self._session, found)
        move_statistics(layer, *found)
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
        convolution, norm, act = layer.conv, layer.norm, layer.act
        shape = convolution_shape(convolution, source) if fuses(convolution, norm, act) else None
        if shape is None or shape.bias or not normalises(norm, source, shape.destination):
            return None
        normed = NormShape(shape.destination, norm._epsilon, relu=type(act) is nn.ReLU)
        plan = self._plan((shape, normed), lambda: self._unit_plan(shape, normed))
        if plan is None:
            return None
        found: list[Normalised] = []
        result = Unit.apply(source, convolution.weight, norm.weight, norm.bias, plan, self._session, found)
        move_statistics(norm, *found)
        return result if normed.relu else act(result)

    def _unit_plan(self, shape: ConvolutionShape, normed: NormShape) -> UnitPlan:
        convolution = ConvolutionPlan(self.library, shape, self.compute, plain=False)
        return UnitPlan(convolution, NormPlan(self.library, normed, convolution.forward.layouts[DST]))

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


def convolution_shape(layer: nn.Conv2D, source: Any) -> ConvolutionShape | None:
    """Return the shape of a convolution that these kernels can run, else None."""
    weights = layer.weight
    if (
        not runs_here(layer, source)
        or layer._data_format != "NCHW"
        or layer._padding_mode != "zeros"
        or layer._padding_algorithm == "SAME"
        or weights.dtype != paddle.float32
        or source.shape[1] != weights.shape[1] * layer._groups
    ):
        return None
    padding = layer._updated_padding
    begin, end = (padding, padding) if len(padding) == 2 else (padding[0::2], padding[1::2])
    shape = ConvolutionShape(
        source=tuple(source.shape),
        weights=tuple(weights.shape),
        bias=layer.bias is not None,
        strides=tuple(layer._stride),
        dilations=tuple(layer._dilation),
        begin=tuple(begin),
        end=tuple(end),
        groups=layer._groups,
    )
    return shape if min(shape.destination) > 0 else None


def normalises(layer: nn.BatchNorm2D, source: Any, shape: tuple[int, ...] | None = None) -> bool:
    """Return whether these kernels can run a normalisation of `source`, or of what has `shape` and is made of it."""
    return (
        runs_here(layer, source)
        and layer._data_format == "NCHW"
        and not layer._use_global_stats
        and layer.weight is not None
        and layer.bias is not None
        and layer.weight.dtype == paddle.float32
        and (shape or source.shape)[1] == layer.weight.shape[0]
    )


def fuses(convolution: nn.Layer, norm: nn.Layer, act: nn.Layer) -> bool:
    """Return whether nobody would see that the three were run as one: known layers, without hooks."""
    return (
        type(convolution) is nn.Conv2D
        and type(norm) is nn.BatchNorm2D
        and not any(layer._forward_pre_hooks or layer._forward_post_hooks for layer in (convolution, norm, act))
    )


@paddle.no_grad()  # type: ignore[untyped-decorator]
def move_statistics(layer: nn.BatchNorm2D, batch: Normalised) -> None:
    """Move the running statistics as Paddle does: running * momentum + batch * (1 - momentum), biased variance."""
    momentum = layer._momentum
    for running, new in ((layer._mean, batch.mean), (layer._variance, batch.variance)):
        running.scale_(momentum)
        running.add_(new.scale(1.0 - momentum))
