"""A convolution without bias and the normalisation after it, run as one: what is between them stays where it is."""

from typing import Any, NamedTuple

import paddle
from paddle import Tensor
from paddle.autograd import PyLayer

from ppresnet.onednn import form
from ppresnet.onednn.api import DST
from ppresnet.onednn.batch_norm import Normalised, NormPlan, NormShape, Statistics
from ppresnet.onednn.convolution import ConvolutionPlan
from ppresnet.onednn.convolution_kernels import ConvolutionShape
from ppresnet.onednn.form import Form, Whereto
from ppresnet.onednn.functions import contiguous, first_order, only, wanted
from ppresnet.onednn.library import Library
from ppresnet.onednn.session import Session
from ppresnet.paddle_api import empty

KEPT = 7
"""How many tensors the gradient of a unit needs."""


class UnitShape(NamedTuple):
    """The shapes of both."""

    convolution: ConvolutionShape
    norm: NormShape


class UnitPlan:
    """The primitives of a unit.

    Args:
        library: the library.
        shape: of the unit.
        compute: type of the kernels' inputs, `FLOAT32` or `BFLOAT16`.
        before: form in which the source comes and its gradient leaves; None: both are plain float32 tensors.
        after: form of the output and of the gradient of that.

    Attributes:
        form: that of the output.
        quick: whether the normalisation has a kernel for this CPU, instead of one for any.

    Raises:
        OneDnnError: `unimplemented` where oneDNN has no such kernel.
    """

    def __init__(
        self, library: Library, shape: UnitShape, compute: int, before: Form | None = None, after: Whereto = "plain"
    ) -> None:
        self.convolution = ConvolutionPlan(library, shape.convolution, compute, plain=False, before=before)
        kernel = self.convolution.forward
        inner = form.within(library, kernel.layouts[DST], compute, shape.convolution.weights[0], kernel)
        given = form.plain(library, shape.norm.source) if after == "plain" else after
        self.form = inner if given == "inner" else given
        self.norm = NormPlan(library, shape.norm, inner.layout, self.form)
        self.quick = not library.implementation(self.norm.forward.descriptor).endswith(":any")

    def run(
        self, session: Session, source: Tensor, weights: Tensor, scale: Tensor, shift: Tensor, statistics: Statistics
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the output, and the `KEPT` tensors that `run_backward` wants."""
        session.begin()
        convolved = empty([self.norm.source_size], paddle.uint8)
        source = self.convolution.keep_source(session, source)
        self.convolution.run(session, source, weights, None, convolved)
        result, normalised = self.norm.run(session, convolved.data_ptr(), scale, shift, statistics)
        return result, [source, weights, convolved, scale, *normalised]

    def run_backward(
        self, session: Session, kept: list[Tensor], gradient: Tensor, needs: tuple[bool, ...]
    ) -> tuple[Tensor | None, ...]:
        """Return the gradients of source, weights, scale and shift, those that are needed."""
        session.begin()
        source, weights, convolved, scale, *rest = kept
        between, *others = self.norm.run_backward(
            session, convolved.data_ptr(), scale, Normalised(*rest), gradient, None
        )
        inner = self.convolution.run_backward(session, source, weights, between, (needs[0], needs[1], False))
        return (*inner[:2], *only(needs[2:], *others))


class Unit(PyLayer):
    """A convolution and a normalisation: `Unit.apply(source, weights, scale, shift, plan, session, statistics)`."""

    @staticmethod
    def forward(
        context: Any,
        source: Tensor,
        weights: Tensor,
        scale: Tensor,
        shift: Tensor,
        plan: UnitPlan,
        session: Session,
        statistics: Statistics,
    ) -> Tensor:
        """Return float32 [batch, output channels, height, width]."""
        needs = wanted(source, weights, scale, shift)
        result, kept = plan.run(session, contiguous(source), weights, scale, shift, statistics)
        context.save_for_backward(*kept)
        context.plan, context.session, context.wanted = plan, session, needs
        return result

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of source, weights, scale and shift."""
        plan: UnitPlan = context.plan
        return plan.run_backward(context.session, list(context.saved_tensor()), first_order(gradient), context.wanted)
