"""The differentiable operations on single layers: a convolution, a batch normalisation (+ ReLU), and a ReLU."""

from typing import Any

import paddle
from paddle import Tensor
from paddle.autograd import PyLayer

from ppresnet.errors import RequestError
from ppresnet.onednn.batch_norm import Normalised, NormPlan, Statistics
from ppresnet.onednn.convolution import ConvolutionPlan
from ppresnet.onednn.relu import ReluPlan
from ppresnet.onednn.session import Session
from ppresnet.paddle_api import empty


class Convolution(PyLayer):
    """Convolves plain float32 tensors: `Convolution.apply(source, weights, bias or None, plan, session)`."""

    @staticmethod
    def forward(
        context: Any, source: Tensor, weights: Tensor, bias: Tensor | None, plan: ConvolutionPlan, session: Session
    ) -> Tensor:
        """Return float32 [batch, output channels, height, width]."""
        session.begin()
        needs, source = wanted(source, weights, bias), contiguous(source)
        result = empty(list(plan.shape.destination))
        kept = plan.keep_source(session, source)
        plan.run(session, kept, weights, bias, result)
        context.save_for_backward(kept, weights)
        context.plan, context.session, context.wanted = plan, session, needs
        return result

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of source, weights and bias."""
        gradient = first_order(gradient)
        context.session.begin()
        kept, weights = context.saved_tensor()
        plan, needs = context.plan, context.wanted
        results = plan.run_backward(context.session, kept, weights, gradient.data_ptr(), needs)
        return tuple(results if plan.shape.bias else results[:2])


class BatchNorm(PyLayer):
    """Normalises plain float32 tensors: `BatchNorm.apply(source, scale, shift, plan, session, statistics)`.

    The statistics of the batch are put into `statistics`: outputs that are not differentiable crash Paddle 2.6.2.
    """

    @staticmethod
    def forward(
        context: Any,
        source: Tensor,
        scale: Tensor,
        shift: Tensor,
        plan: NormPlan,
        session: Session,
        statistics: Statistics,
    ) -> Tensor:
        """Return float32 [batch, channels, height, width]."""
        session.begin()
        needs, source = wanted(source, scale, shift), contiguous(source)
        result, kept = plan.run(session, source.data_ptr(), scale, shift, statistics)
        context.save_for_backward(source, scale, *kept)
        context.plan, context.session, context.wanted = plan, session, needs
        return result

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of source, scale and shift."""
        gradient = first_order(gradient)
        context.session.begin()
        source, scale, *kept = context.saved_tensor()
        result = empty(source.shape)
        _, *others = context.plan.run_backward(
            context.session, source.data_ptr(), scale, Normalised(*kept), gradient, result.data_ptr()
        )
        return only(context.wanted, result, *others)


class Relu(PyLayer):
    """Rectifies a plain float32 tensor: `Relu.apply(source, plan, session)`."""

    @staticmethod
    def forward(context: Any, source: Tensor, plan: ReluPlan, session: Session) -> Tensor:
        """Return float32 of the shape of the source."""
        session.begin()
        source = contiguous(source)
        result = empty(source.shape)
        plan.run(session, source, result)
        context.save_for_backward(result.detach())  # the result itself would keep its graph, and that the result
        context.plan, context.session = plan, session
        return result

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        """Return the gradient of the source."""
        gradient = first_order(gradient)
        context.session.begin()
        result = empty(gradient.shape)
        context.plan.run_backward(context.session, *context.saved_tensor(), gradient, result)
        return result


def wanted(*tensors: Tensor | None) -> tuple[bool, ...]:
    """Return for each tensor whether its gradient is wanted."""
    return tuple(tensor is not None and not tensor.stop_gradient for tensor in tensors)


def only(needs: tuple[bool, ...], *gradients: Tensor) -> tuple[Tensor | None, ...]:
    """Return the gradients that are wanted, and None for the others, as PyLayer wants it."""
    return tuple(gradient if need else None for gradient, need in zip(gradients, needs, strict=True))


def first_order(gradient: Tensor) -> Tensor:
    """Return the gradient as one contiguous tensor.

    Raises:
        RequestError: a gradient of gradients is asked for.
    """
    if paddle.is_grad_enabled():
        raise RequestError(
            "the oneDNN kernels have no gradients of gradients; set hardware.onednn: disabled for create_graph=True"
        )
    return contiguous(gradient)


def contiguous(tensor: Tensor) -> Tensor:
    """Return the tensor, or a copy where it is a view of another whose rows do not follow each other."""
    return tensor if tensor.is_contiguous() else tensor.contiguous()
