"""Layers of Paddle run by oneDNN: which of them can be, and how."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import Any, TypeVar

import paddle
from paddle import Tensor, nn

from ppresnet.onednn.api import FLOAT32
from ppresnet.onednn.batch_norm import NormPlan, NormShape, Statistics
from ppresnet.onednn.block import Block, BlockPlan
from ppresnet.onednn.cache import PrimitiveCache
from ppresnet.onednn.chain import ChainPlan, Move
from ppresnet.onednn.convolution import ConvolutionPlan
from ppresnet.onednn.functions import BatchNorm, Convolution, Relu
from ppresnet.onednn.library import Library, OneDnnError
from ppresnet.onednn.relu import ReluPlan, ReluShape
from ppresnet.onednn.session import Session
from ppresnet.onednn.shapes import (
    block_shapes,
    chain_shapes,
    convolution_shape,
    normalises,
    runs_here,
    unit_shape,
    watched,
)
from ppresnet.onednn.unit import Unit
from ppresnet.onednn.wide import AnyUnitPlan, unit_plan
from ppresnet.onednn.zero_pad import PadPlan, PadShape, ZeroPad
from ppresnet.paddle_api import empty

PLANS = 512  # a DenseNet-121 has about 200 different layers
Plan = TypeVar("Plan")


class Kernels:
    """Runs convolutions, normalisations, units of both, ReLUs, and whole residual blocks and stages, in training.

    A method returns None for what only Paddle's own kernels can do. Evaluation is left to those too, so that it does
    not depend on this switch.

    Args:
        library: the library.
        compute: type of the inputs of convolutions, and of what blocks of a stage pass on, `FLOAT32` or `BFLOAT16`;
            other tensors and statistics are float32.
        units: classes whose forward is act(norm(conv(x))) of attributes with these names.
        blocks: classes whose forward is act(skip(x) + branch(x)) of attributes with these names.
        identities: classes of skips that return their input.
        capacity: how many shapes keep their primitives.
    """

    def __init__(
        self,
        library: Library,
        compute: int = FLOAT32,
        units: Sequence[type[nn.Layer]] = (),
        blocks: Sequence[type[nn.Layer]] = (),
        identities: Sequence[type[nn.Layer]] = (),
        capacity: int = PLANS,
    ) -> None:
        self.library = library
        self.compute = compute
        self.units, self.blocks, self.identities = tuple(units), tuple(blocks), tuple(identities)
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
        result = self._run_planned_unit(layer, plan, source)
        return result if shape.norm.relu else layer.act(result)

    def _run_planned_unit(self, layer: nn.Layer, plan: AnyUnitPlan, source: Tensor) -> Tensor:
        convolution, norm = layer.conv, layer.norm
        statistics = statistics_of(norm)
        result = Unit.apply(source, convolution.weight, norm.weight, norm.bias, plan, self._session, statistics)
        move_statistics(norm, statistics)
        return result

    def run_block(self, layer: nn.Layer, source: Tensor) -> Tensor | None:
        """Return act(skip(x) + branch(x)) of a layer with `branch`, a chain of units, `skip` and `act`, a ReLU."""
        shapes = block_shapes(layer, source, self.units)
        if shapes is None:
            return None
        plan = self._plan(shapes, lambda: BlockPlan(self.library, shapes, self.compute))
        if plan is None:
            return None
        identity = layer.skip(source)
        if identity.dtype != paddle.float32 or tuple(identity.shape) != shapes[-1].norm.source:
            return layer.act(identity + layer.branch(source))  # which broadcasts it or refuses
        return self._run_branch(layer, plan, source, None if identity is source else identity)

    def run_stage(self, stage: Iterable[nn.Layer], source: Tensor, before: nn.Layer | None = None) -> Tensor | None:
        """Return what blocks give one behind another, of `before(source)` where there is a layer before them.

        What those with an identity skip pass on keeps the layout and the type of the kernels, and what a unit gives
        them that is the layer before.
        """
        layers = [*([] if before is None else [before]), *stage]
        chain = list(takewhile(self._keeps, reversed(layers)))[::-1]
        if len(chain) < 2:
            return None
        ahead = layers[: -len(chain)]
        unit = ahead.pop() if ahead and self._gives(ahead[-1]) else None
        for layer in ahead:
            source = layer(source)
        return self._run_chain(unit, chain, source)

    def _keeps(self, block: nn.Layer) -> bool:
        """Return whether a block adds its input to its branch, and does so by the forward of such blocks."""
        return _is(block, self.blocks) and type(block.skip) in self.identities

    def _gives(self, layer: nn.Layer) -> bool:
        """Return whether a layer is a unit with a ReLU and the forward of units, and nobody looks at its output."""
        return _is(layer, self.units) and type(layer.act) is nn.ReLU and not watched(layer)

    def _run_chain(self, unit: nn.Layer | None, blocks: Sequence[nn.Layer], source: Tensor) -> Tensor:
        plan = self._chain_plan(unit, blocks, source)
        if plan is None:
            for layer in (*([] if unit is None else [unit]), *blocks):
                source = layer(source)
            return source
        if unit is None or plan.unit is None:
            within = Move.apply(source, plan.enter, self._session)
        else:
            within = self._run_planned_unit(unit, plan.unit, source)
        for block, own in zip(blocks, plan.blocks, strict=True):
            within = self._run_branch(block, own, within, None)
        return Move.apply(within, plan.leave, self._session)

    def _chain_plan(self, unit: nn.Layer | None, blocks: Sequence[nn.Layer], source: Tensor) -> ChainPlan | None:
        first = None if unit is None else unit_shape(unit, source)
        if unit is not None and first is None:
            return None
        shapes = chain_shapes(blocks, source, self.units, None if first is None else first.convolution.destination)
        if shapes is None:
            return None
        plan = self._plan(("chain", first, *shapes), lambda: ChainPlan(self.library, shapes, self.compute, first))
        return plan if plan is not None and plan.enter.needed else None

    def _run_branch(self, layer: nn.Layer, plan: BlockPlan, source: Tensor, identity: Tensor | None) -> Tensor:
        statistics = [statistics_of(unit.norm) for unit in layer.branch]
        parameters = [one for unit in layer.branch for one in (unit.conv.weight, unit.norm.weight, unit.norm.bias)]
        result = Block.apply(plan, self._session, statistics, source, identity, *parameters)
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
                warnings.warn(f"{error}; oneDNN does not run this at once: {shape}", stacklevel=2)
                return None

        key = (shape, self.compute, self.library.threads())
        return self.cache.get(key, make_or_tell)  # type: ignore[no-any-return]


def _is(layer: nn.Layer, kinds: Iterable[type[nn.Layer]]) -> bool:
    return any(isinstance(layer, kind) and type(layer).forward is kind.forward for kind in kinds)


def statistics_of(layer: nn.BatchNorm2D) -> Statistics:
    """Return the running statistics where a normalisation uses them in training too, else room for those of a batch."""
    if layer._use_global_stats:
        return Statistics(layer._mean, layer._variance)
    return Statistics(*(empty(layer.weight.shape) for _ in range(2)))


@paddle.no_grad()  # type: ignore[untyped-decorator]
def move_statistics(layer: nn.BatchNorm2D, batch: Statistics) -> None:
    """Move the running statistics as Paddle does: running * momentum + batch * (1 - momentum), biased variance."""
    if layer._use_global_stats:
        return
    momentum = layer._momentum
    for running, new in ((layer._mean, batch.mean), (layer._variance, batch.variance)):
        running.scale_(momentum)
        running.add_(new.scale(1.0 - momentum))
