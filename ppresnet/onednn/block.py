"""A residual block, relu(identity + branch(x)), run as one: the tensors inside the branch keep the kernels' layout."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from paddle import Tensor
from paddle.autograd import PyLayer

from ppresnet.onednn import api as c
from ppresnet.onednn.batch_norm import Statistics
from ppresnet.onednn.form import Form, Whereto, plain
from ppresnet.onednn.functions import contiguous, first_order, wanted
from ppresnet.onednn.kernel import Kernel
from ppresnet.onednn.library import Library
from ppresnet.onednn.relu import ReluPlan, ReluShape
from ppresnet.onednn.session import Session
from ppresnet.onednn.unit import KEPT, UnitShape
from ppresnet.onednn.wide import AnyUnitPlan, unit_plan
from ppresnet.paddle_api import empty

PARAMETERS = 3
"""Of a unit: weights, scale, shift."""

BlockShape: TypeAlias = tuple[UnitShape, ...]
"""The shapes of the units of a block's branch."""


class SumPlan:
    """The primitives of relu(a + b) of so many numbers of a type each."""

    def __init__(self, library: Library, numbers: int, dtype: int) -> None:
        row = library.plain([numbers], dtype)
        names = (c.SRC, c.SECOND_SRC, c.DST)
        self._rectified, self._alone = (
            Kernel(
                library,
                library.create(
                    "primitive_desc", library.engine.value, c.ADD, row.value, row.value, row.value, attributes.value,
                    function="binary_primitive_desc_create",
                ),
                names,
            )
            for attributes in (library.with_relu(), library.attributes)
        )  # fmt: skip
        self._relu = ReluPlan(library, ReluShape((numbers,), dtype))

    def run(self, session: Session, identity: Tensor, out: Tensor) -> None:
        """Put relu(identity + out) in the place of `out`; only the first source may be the destination too."""
        addresses = {c.SRC: out.data_ptr(), c.SECOND_SRC: identity.data_ptr(), c.DST: out.data_ptr()}
        self._rectified.run(session, addresses)

    def run_backward(self, session: Session, output: Tensor, gradient: Tensor) -> Tensor:
        """Return the gradient of both summands."""
        result = empty(gradient.shape, gradient.dtype)
        self._relu.run_backward(session, output, gradient, result)
        return result

    def add(self, session: Session, one: Tensor, other: Tensor) -> None:
        """Add `other` to `one`."""
        self._alone.run(session, {c.SRC: one.data_ptr(), c.SECOND_SRC: other.data_ptr(), c.DST: one.data_ptr()})


class BlockPlan:
    """The primitives of a block whose branch is a chain of units.

    Args:
        library: the library.
        shapes: of the units; all but the last have a ReLU.
        compute: type of the kernels' inputs, `FLOAT32` or `BFLOAT16`.
        form: of the source, the identity and the output, and of their gradients; None: plain.

    Raises:
        OneDnnError: `unimplemented` where oneDNN has no such kernel.
    """

    def __init__(
        self,
        library: Library,
        shapes: BlockShape,
        compute: int,
        form: Form | None = None,
    ) -> None:
        self.units: list[AnyUnitPlan] = []
        dense = all(shape.convolution.groups == 1 for shape in shapes)
        given, result = form, form or plain(library, shapes[-1].norm.source)
        for number, shape in enumerate(shapes, start=1):
            whereto: Whereto = "inner" if number < len(shapes) else form or "plain"
            self.units.append(unit_plan(library, shape, compute, given, whereto, widen=dense))
            given = self.units[-1].form
        self.sum = SumPlan(library, math.prod(result.shape), result.dtype)


class Block(PyLayer):
    """A residual block: `Block.apply(plan, session, statistics, source, identity, *parameters)`.

    `identity` is None where it is the source; `parameters` are weights, scale and shift of each unit, `statistics`
    those of each unit.
    """

    @staticmethod
    def forward(
        context: Any,
        plan: BlockPlan,
        session: Session,
        statistics: Sequence[Statistics],
        source: Tensor,
        identity: Tensor | None,
        *parameters: Tensor,
    ) -> Tensor:
        """Return float32 [batch, output channels, height, width], or a row of the plan's form."""
        context.plan, context.session, context.alone = plan, session, identity is None
        context.wanted = wanted(source, *([] if identity is None else [identity]), *parameters)
        out = source = contiguous(source)
        saved: list[Tensor] = []
        for number, (unit, own) in enumerate(zip(plan.units, statistics, strict=True)):
            weights, scale, shift = parameters[PARAMETERS * number : PARAMETERS * (number + 1)]
            out, kept = unit.run(session, out, weights, scale, shift, own)
            saved += kept
        plan.sum.run(session, source if identity is None else contiguous(identity), out)
        context.save_for_backward(out.detach(), *saved)  # the output itself would keep its graph, and that the output
        return out

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of source, identity and parameters."""
        plan, session, alone = context.plan, context.session, context.alone
        output, *saved = context.saved_tensor()
        needs = context.wanted if alone else (context.wanted[0], *context.wanted[2:])
        of_sum = plan.sum.run_backward(session, output, first_order(gradient))
        flowing: Tensor | None = of_sum
        results: list[Tensor | None] = []
        for number in reversed(range(len(plan.units))):
            mine = needs[1 + PARAMETERS * number : 1 + PARAMETERS * (number + 1)]
            kept = saved[KEPT * number : KEPT * (number + 1)]
            needed = (number > 0 or needs[0], *mine)
            flowing, *own = plan.units[number].run_backward(session, kept, flowing, needed)
            results = own + results
        if not alone:
            return (flowing, of_sum if context.wanted[1] else None, *results)
        if flowing is not None:
            plan.sum.add(session, flowing, of_sum)
        return (flowing, *results)
