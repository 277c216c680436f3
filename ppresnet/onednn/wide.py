"""Units filled up with channels of zeros, where oneDNN has quick kernels for full blocks of channels only."""

from collections.abc import Sequence
from typing import TypeAlias

import paddle
import paddle.nn.functional as F
from paddle import Tensor

from ppresnet.onednn.batch_norm import Statistics
from ppresnet.onednn.form import Form, Whereto
from ppresnet.onednn.library import Library
from ppresnet.onednn.session import Session
from ppresnet.onednn.unit import UnitPlan, UnitShape

BLOCK = 16  # channels


class WideUnitPlan:
    """The primitives of a unit with more channels than it has; what it has too many is zero.

    oneDNN (3.2 to 3.6) normalises a tensor whose channels come last by a kernel for any CPU where they are no multiple
    of 16, which takes some twenty times as long. Networks that were pruned are full of those.

    Args:
        library: the library.
        shape: of the unit, without groups.
        compute: type of the kernels' inputs, `FLOAT32` or `BFLOAT16`.
        before: as for `UnitPlan`.
        after: as for `UnitPlan`; only an inner output has more channels than the unit.
        inputs: channels of the source, at least those of the unit.

    Attributes:
        form: as of `UnitPlan`.
        quick: as of `UnitPlan`.

    Raises:
        OneDnnError: `unimplemented` where oneDNN has no such kernel.
        ValueError: the form of the output has not the channels that are computed.
    """

    def __init__(
        self, library: Library, shape: UnitShape, compute: int, before: Form | None, after: Whereto, inputs: int
    ) -> None:
        narrow = shape.convolution
        self.narrow, self.plain = narrow, after == "plain"
        self.channels = -(-narrow.weights[0] // BLOCK) * BLOCK
        if isinstance(after, Form) and after.channels != self.channels:
            raise ValueError(f"expected a form of {self.channels} channels, found one of {after.channels}")
        wide = narrow._replace(
            source=(narrow.source[0], inputs, *narrow.source[2:]),
            weights=(self.channels, inputs, *narrow.weights[2:]),
        )
        norm = shape.norm._replace(source=wide.destination)
        self.plan = UnitPlan(library, UnitShape(wide, norm), compute, before, after)
        self.form, self.quick = self.plan.form, self.plan.quick

    def run(
        self, session: Session, source: Tensor, weights: Tensor, scale: Tensor, shift: Tensor, statistics: Statistics
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the output, and the tensors that `run_backward` wants."""
        outputs, shape = [self.channels], self.plan.convolution.shape
        wide = Statistics(filled(statistics.mean, outputs), filled(statistics.variance, outputs))
        result, kept = self.plan.run(
            session, source, filled(weights, shape.weights), filled(scale, outputs), filled(shift, outputs), wide
        )
        if not self.plan.norm.shape.frozen:
            for own, found in ((statistics.mean, wide.mean), (statistics.variance, wide.variance)):
                paddle.assign(found[: len(own)], own)
        return (first(result, self.narrow.destination) if self.plain else result), kept

    def run_backward(
        self, session: Session, kept: list[Tensor], gradient: Tensor, needs: tuple[bool, ...]
    ) -> tuple[Tensor | None, ...]:
        """Return the gradients of source, weights, scale and shift, those that are needed."""
        if self.plain:
            gradient = filled(gradient, self.plan.norm.shape.source)
        source, *others = self.plan.run_backward(session, kept, gradient, needs)
        outputs = self.narrow.weights[:1]
        sizes = (self.narrow.weights, outputs, outputs)
        own = [None if one is None else first(one, size) for one, size in zip(others, sizes, strict=True)]
        return (source, *own)


AnyUnitPlan: TypeAlias = UnitPlan | WideUnitPlan


def unit_plan(
    library: Library,
    shape: UnitShape,
    compute: int,
    before: Form | None = None,
    after: Whereto = "plain",
    widen: bool = True,
) -> AnyUnitPlan:
    """Return the primitives of a unit, with as many channels as are quickest.

    Args:
        library: the library.
        shape: of the unit.
        compute: type of the kernels' inputs, `FLOAT32` or `BFLOAT16`.
        before: form in which the source comes and its gradient leaves; None: both are plain float32 tensors.
        after: form of the output and of the gradient of that.
        widen: whether there may be more channels than the unit has.

    Raises:
        OneDnnError: `unimplemented` where oneDNN has no such kernel.
    """
    inputs = shape.convolution.source[1]
    given = inputs if before is None else before.channels
    narrow = UnitPlan(library, shape, compute, before, after) if given == inputs else None
    if narrow is not None and (narrow.quick or not widen or shape.convolution.groups > 1):
        return narrow
    wide = WideUnitPlan(library, shape, compute, before, after, given)
    return wide if narrow is None or wide.quick else narrow


def filled(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """Return a tensor with zeros behind it in each dimension, up to a shape; the same one where it has that."""
    missing = [wanted - found for wanted, found in zip(shape, tensor.shape, strict=True)]
    if not any(missing):
        return tensor
    return F.pad(tensor, [side for behind in missing for side in (0, behind)])


def first(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the first elements of each dimension, as one contiguous tensor."""
    axes = list(range(len(shape)))
    return paddle.slice(tensor, axes, [0] * len(shape), list(shape)).contiguous()
