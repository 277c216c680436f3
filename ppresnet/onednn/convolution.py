"""A convolution and its gradients: what is computed, in whichever layout oneDNN likes best."""

import paddle
from paddle import Tensor

from ppresnet.onednn import api as c
from ppresnet.onednn import form
from ppresnet.onednn.api import Handle
from ppresnet.onednn.convolution_kernels import ConvolutionShape, data_kernel, forward_kernel, weights_kernel
from ppresnet.onednn.form import Form
from ppresnet.onednn.kernel import Conversion
from ppresnet.onednn.library import Library
from ppresnet.onednn.session import Session
from ppresnet.onednn.strips import strips
from ppresnet.paddle_api import empty


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
        self.forward = forward_kernel(library, shape, compute, output)
        self.backward_data = data_kernel(library, shape, compute, self._before.dtype, self.forward)
        self.backward_weights = weights_kernel(library, shape, compute, self.forward)
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
        self.strips = strips(library, shape, compute, self.backward_weights)
        summed = self.backward_weights if self.strips is None else self.strips.kernel
        self.weights_gradient = convert(summed.layouts[c.DIFF_WEIGHTS], weights.value)

    def _convert(self, source: Handle, target: Handle) -> Conversion:
        return Conversion(self._library, source, target)

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
        addresses = {c.SRC: self.kept_source.enter(session, kept.data_ptr()), c.DIFF_DST: gradient}
        addresses[c.DIFF_WEIGHTS] = landed
        if bias is not None:
            addresses[c.DIFF_BIAS] = bias.data_ptr()
        (self.backward_weights if self.strips is None else self.strips).run(session, addresses)
        self.weights_gradient.leave(session, landed, result.data_ptr())
        return [result, bias]
