"""Blocks with identity skips one behind another, a unit before them: what they pass on keeps the kernels' layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paddle import Tensor
from paddle.autograd import PyLayer

from ppresnet.onednn.api import FLOAT32, SRC
from ppresnet.onednn.block import BlockPlan, BlockShape
from ppresnet.onednn.convolution import ConvolutionPlan, ConvolutionShape
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
    the bit. All is float32.

    Args:
        library: the library.
        shapes: of the blocks, all from one shape to the same.
        unit: the shape of the unit; None: there is none.

    Attributes:
        blocks: of each block its primitives.
        unit: the primitives of the unit.
        enter: from a plain tensor to the layout between.
        leave: back from there.

    Raises:
        OneDnnError: `unimplemented` where oneDNN has no such kernel.
    """

    def __init__(self, library: Library, shapes: Sequence[BlockShape], unit: UnitShape | None = None) -> None:
        outside, inside = plain(library, shapes[0][-1].norm.source), _liked(library, shapes[0][0].convolution)
        self.enter, self.leave = MovePlan(library, outside, inside), MovePlan(library, inside, outside)
        made = {shape: BlockPlan(library, shape, FLOAT32, inside) for shape in dict.fromkeys(shapes)}
        self.blocks = [made[shape] for shape in shapes]
        self.unit = None if unit is None else unit_plan(library, unit, FLOAT32, after=inside)


def _liked(library: Library, shape: ConvolutionShape) -> Form:
    """Return the form in which a convolution would like to get its input."""
    plan = ConvolutionPlan(library, shape, FLOAT32, plain=False)
    return between(library, plan.forward.layouts[SRC], shape.source[1], plan)
