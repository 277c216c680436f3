"""A convolution and its gradients: what is computed, in whichever layout oneDNN likes best."""

from typing import Any, NamedTuple

import paddle
from paddle import Tensor

from ppresnet.onednn import api as c
from ppresnet.onednn import form
from ppresnet.onednn.api import Handle
from ppresnet.onednn.form import Form
from ppresnet.onednn.kernel import Conversion, Kernel
from ppresnet.onednn.library import Library, Owned
from ppresnet.onednn.session import Session
from ppresnet.paddle_api import empty

Pair = tuple[int, int]


class ConvolutionShape(NamedTuple):
    """A convolution of given sizes.

    Attributes:
        source: batch, input channels, height, width.
        weights: output channels, input channels / groups, kernel height, kernel width.
        bias: whether there is one.
        strides: down, right.
        dilations: down, right; 1 is a dense kernel.
        begin: padding above, on the left.
        end: padding below, on the right.
        groups: of channels.
    """

    source: tuple[int, ...]
    weights: tuple[int, ...]
    bias: bool
    strides: Pair
    dilations: Pair
    begin: Pair
    end: Pair
    groups: int

    @property
    def destination(self) -> tuple[int, ...]:
        """Batch, output channels, height, width."""
        spatial = (
            (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
            for size, before, after, dilation, kernel, stride in zip(
                self.source[2:], self.begin, self.end, self.dilations, self.weights[2:], self.strides, strict=True
            )
        )
        return (self.source[0], self.weights[0], *spatial)

    @property
    def grouped_weights(self) -> tuple[int, ...]:
        """The dimensions of the weights as oneDNN wants them: with a leading one for the groups where there are any."""
        if self.groups == 1:
            return self.weights
        return (self.groups, self.weights[0] // self.groups, *self.weights[1:])


class ConvolutionPlan:
    """The primitives of a convolution of one shape, and the layout changes around them.

    Args:
        library: the library.
        shape: of the convolution.
        compute: type of the kernels' inputs, `FLOAT32` or `BFLOAT16`.
        plain: whether the output is a plain float32 tensor; else it stays in the layout and type of the kernel, and so
            must its gradient come.
        before: form in which the source comes and its gradient leaves; None: both are plain float32 tensors.

    Raises:
        OneDnnError: `unimplemented` where oneDNN has no such kernel.
    """

    def __init__(
        self, library: Library, shape: ConvolutionShape, compute: int, plain: bool = True, before: Form | None = None
    ) -> None:
        self.shape = shape
        self._library = library
        self._before = before or form.plain(library, shape.source)
        weights = library.plain(shape.grouped_weights)
        output = c.FLOAT32 if plain else compute
        self.forward = self._forward_kernel(compute, output)
        self.backward_data = self._backward_kernel("data", compute, self._before.dtype)
        self.backward_weights = self._backward_kernel("weights", compute, c.FLOAT32)
        forward, data, gradient = self.forward.layouts, self.backward_data.layouts, self.backward_weights.layouts
        outside = library.plain(shape.destination) if plain else None
        destination = outside.value if outside is not None else forward[c.DST]
        convert = self._convert
        self.source = convert(self._before.layout, forward[c.SRC])
        self.weights = convert(weights.value, forward[c.WEIGHTS])
        self.destination = convert(forward[c.DST], destination)
        self.kept_source = convert(forward[c.SRC], gradient[c.SRC])
        self.data_weights = convert(weights.value, data[c.WEIGHTS])
        self.data_gradient = convert(destination, data[c.DIFF_DST])
        self.source_gradient = convert(data[c.DIFF_SRC], self._before.layout)
        self.one_gradient = library.same(data[c.DIFF_DST], gradient[c.DIFF_DST])
        self.gradient = convert(destination, gradient[c.DIFF_DST])
        self.weights_gradient = convert(gradient[c.DIFF_WEIGHTS], weights.value)

    def _convert(self, source: Handle, target: Handle) -> Conversion:
        return Conversion(self._library, source, target)

    def _attributes(self) -> tuple[Any, ...]:
        shape = self.shape
        dilates = [dilation - 1 for dilation in shape.dilations]
        return tuple(c.sizes(values) for values in (shape.strides, dilates, shape.begin, shape.end))

    def _bias(self) -> Owned | None:
        return self._library.plain(self.shape.weights[:1]) if self.shape.bias else None

    def _forward_kernel(self, compute: int, output: int) -> Kernel:
        library, shape, bias = self._library, self.shape, self._bias()
        source, weights = library.free(shape.source, compute), library.free(shape.grouped_weights, compute)
        destination = library.free(shape.destination, output)
        descriptor = library.create(
            "primitive_desc", library.engine.value, c.FORWARD_TRAINING, c.DIRECT, source.value, weights.value,
            bias.value if bias else None, destination.value, *self._attributes(), library.attributes.value,
            function="convolution_forward_primitive_desc_create",
        )  # fmt: skip
        return Kernel(library, descriptor, (c.SRC, c.WEIGHTS, *([c.BIAS] if bias else []), c.DST))

    def _backward_kernel(self, towards: str, compute: int, result: int) -> Kernel:
        library, shape, bias = self._library, self.shape, self._bias()
        gradient = library.free(shape.destination, compute)
        if towards == "data":
            first, second = library.free(shape.source, result), library.free(shape.grouped_weights, compute)
            wanted: list[Handle | None] = [first.value, second.value, gradient.value]
            arguments = [c.DIFF_SRC, c.WEIGHTS, c.DIFF_DST]
        else:
            first, second = library.free(shape.source, compute), library.free(shape.grouped_weights, result)
            wanted = [first.value, second.value, bias.value if bias else None, gradient.value]
            arguments = [c.SRC, c.DIFF_WEIGHTS, *([c.DIFF_BIAS] if bias else []), c.DIFF_DST]
        descriptor = library.create(
            "primitive_desc", library.engine.value, c.DIRECT, *wanted, *self._attributes(),
            self.forward.descriptor.value, library.attributes.value,
            function=f"convolution_backward_{towards}_primitive_desc_create",
        )  # fmt: skip
        return Kernel(library, descriptor, arguments)

    def keep_source(self, session: Session, source: Tensor) -> Tensor:
        """Return the source in the layout of the kernels: a new tensor of bytes, or the source itself."""
        if not self.source.needed:
            return source
        kept = empty([self.source.size], paddle.uint8)
        self.source.leave(session, source.data_ptr(), kept.data_ptr())
        return kept

    def run(self, session: Session, kept: Tensor, weights: Tensor, bias: Tensor | None, destination: Tensor) -> None:
        """Compute the output into `destination`, from a source that `keep_source` gave."""
        landed = self.destination.landing(session, destination.data_ptr())
        addresses = {c.SRC: kept.data_ptr(), c.DST: landed}
        addresses[c.WEIGHTS] = self.weights.enter(session, weights.data_ptr())
        if bias is not None:
            addresses[c.BIAS] = bias.data_ptr()
        self.forward.run(session, addresses)
        self.destination.leave(session, landed, destination.data_ptr())

    def run_backward(
        self, session: Session, kept: Tensor, weights: Tensor, gradient: int, wanted: tuple[bool, bool, bool]
    ) -> list[Tensor | None]:
        """Return the gradients of source, weights and bias, those that are wanted.

        Args:
            session: of this thread.
            kept: the source that `keep_source` gave.
            weights: float32, plain.
            gradient: address of the output's gradient.
            wanted: for source, weights, bias.
        """
        entered, results = gradient, [None, None, None]
        if wanted[0]:
            entered = self.data_gradient.enter(session, gradient)
            results[0] = self._source_gradient(session, weights, entered)
        if wanted[1] or wanted[2]:
            if not (wanted[0] and self.one_gradient):
                entered = self.gradient.enter(session, gradient)
            results[1:] = self._weights_gradient(session, kept, weights, entered)
        return [result if want else None for result, want in zip(results, wanted, strict=True)]

    def _source_gradient(self, session: Session, weights: Tensor, gradient: int) -> Tensor:
        result = self._before.empty()
        landed = self.source_gradient.landing(session, result.data_ptr())
        addresses = {c.WEIGHTS: self.data_weights.enter(session, weights.data_ptr())}
        self.backward_data.run(session, addresses | {c.DIFF_DST: gradient, c.DIFF_SRC: landed})
        self.source_gradient.leave(session, landed, result.data_ptr())
        return result

    def _weights_gradient(self, session: Session, kept: Tensor, weights: Tensor, gradient: int) -> list[Tensor | None]:
        result = empty(weights.shape)
        bias = empty(weights.shape[:1]) if self.shape.bias else None
        landed = self.weights_gradient.landing(session, result.data_ptr())
        addresses = {c.SRC: self.kept_source.enter(session, kept.data_ptr())}
        if bias is not None:
            addresses[c.DIFF_BIAS] = bias.data_ptr()
        self.backward_weights.run(session, addresses | {c.DIFF_DST: gradient, c.DIFF_WEIGHTS: landed})
        self.weights_gradient.leave(session, landed, result.data_ptr())
        return [result, bias]
