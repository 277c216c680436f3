"""Blocks with identity skips one behind another, a unit before them: what they pass on keeps the kernels' layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paddle import Tensor
from paddle.autograd import PyLayer

from ppresnet.onednn.api import SRC
from ppresnet.onednn.block import BlockPlan, BlockShape
from ppresnet.onednn.convolution import ConvolutionPlan
from ppresnet.onednn.convolution_kernels import ConvolutionShape
from ppresnet.onednn.form import Form, between, plain
from ppresnet.onednn.functions import contiguous, first_order
from ppresnet.onednn.kernel import Conversion
from ppresnet.onednn.library import Library
from ppresnet.onednn.session import Session
from ppresnet.onednn.unit import UnitShape
from ppresnet.onednn.wide import unit_plan


class MovePlan:
    """The copies of a tensor from one form to another, and of its gradient back.

    Args:
        library: the library.
        source: the form in which it comes.
        target: the form that is wanted.
    """

    def __init__(self, library: Library, source: Form, target: Form) -> None:
        self.source, self.target = source, target
        self.there = Conversion(library, source.layout, target.layout)
        self.back = Conversion(library, target.layout, source.layout)

    @property
    def needed(self) -> bool:
        """Whether the forms differ."""
        return self.there.needed


class Move(PyLayer):
    """Brings a tensor to another form: `Move.apply(source, plan, session)`."""

    @staticmethod
    def forward(context: Any, source: Tensor, plan: MovePlan, session: Session) -> Tensor:
        """Return a tensor of the plan's target form."""
        context.plan, context.session = plan, session
        result = plan.target.empty()
        plan.there.copy(session, contiguous(source).data_ptr(), result.data_ptr())
        return result

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        """Return the gradient of the source."""
        plan: MovePlan = context.plan
        gradient, result = first_order(gradient), plan.source.empty()
        plan.back.copy(context.session, gradient.data_ptr(), result.data_ptr())
        return result


class ChainPlan:
    """The primitives of blocks with identity skips, one behind another, and of a unit before them.

    Between them tensors have the layout that the convolutions like best. The results are those of the single layers to
    the bit in float32. With bfloat16 they have that type too, so that they take half the memory: in training a block
    waits for it, not for its sums.

    Args:
        library: the library.
        shapes: of the blocks, all from one shape to the same.
        compute: type of the kernels' inputs, `FLOAT32` or `BFLOAT16`, and of the tensors between the blocks.
        unit: the shape of the unit; None: there is none.

    Attributes:
        blocks: of each block its primitives.
        unit: the primitives of the unit.
        enter: from a plain tensor to the layout between.
        leave: back from there.

    Raises:
        OneDnnError: `unimplemented` where oneDNN has no such kernel.
    """

    def __init__(
        self, library: Library, shapes: Sequence[BlockShape], compute: int, unit: UnitShape | None = None
    ) -> None:
        outside, inside = plain(library, shapes[0][-1].norm.source), _liked(library, shapes[0][0].convolution, compute)
        self.enter, self.leave = MovePlan(library, outside, inside), MovePlan(library, inside, outside)
        made = {shape: BlockPlan(library, shape, compute, inside) for shape in dict.fromkeys(shapes)}
        self.blocks = [made[shape] for shape in shapes]
        self.unit = None if unit is None else unit_plan(library, unit, compute, after=inside)


def _liked(library: Library, shape: ConvolutionShape, compute: int) -> Form:
    """Return the form in which a convolution would like to get its input."""
    plan = ConvolutionPlan(library, shape, compute, plain=False)
    return between(library, plan.forward.layouts[SRC], compute, shape.source[1], plan)
