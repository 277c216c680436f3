"""The shape of a convolution, and oneDNN's kernels for its output and for the gradients of source and weights."""

from typing import Any, NamedTuple

from ppresnet.onednn import api as c
from ppresnet.onednn.kernel import Kernel
from ppresnet.onednn.library import Library, Owned

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


def forward_kernel(library: Library, shape: ConvolutionShape, compute: int, output: int) -> Kernel:
    """Return the kernel of the output.

    Args:
        library: the library.
        shape: of the convolution.
        compute: type of source and weights, `FLOAT32` or `BFLOAT16`.
        output: type of the output.

    Raises:
        OneDnnError: `unimplemented` where oneDNN has no such kernel; so do the other kernels.
    """
    bias = _bias(library, shape)
    source, weights = library.free(shape.source, compute), library.free(shape.grouped_weights, compute)
    destination = library.free(shape.destination, output)
    descriptor = library.create(
        "primitive_desc", library.engine.value, c.FORWARD_TRAINING, c.DIRECT, source.value, weights.value,
        bias.value if bias else None, destination.value, *_attributes(shape), library.attributes.value,
        function="convolution_forward_primitive_desc_create",
    )  # fmt: skip
    return Kernel(library, descriptor, (c.SRC, c.WEIGHTS, *([c.BIAS] if bias else []), c.DST))


def data_kernel(library: Library, shape: ConvolutionShape, compute: int, result: int, forward: Kernel) -> Kernel:
    """Return the kernel of the source's gradient, of the type `result`; `forward` is the kernel of the output."""
    source, weights = library.free(shape.source, result), library.free(shape.grouped_weights, compute)
    gradient = library.free(shape.destination, compute)
    descriptor = library.create(
        "primitive_desc", library.engine.value, c.DIRECT, source.value, weights.value, gradient.value,
        *_attributes(shape), forward.descriptor.value, library.attributes.value,
        function="convolution_backward_data_primitive_desc_create",
    )  # fmt: skip
    return Kernel(library, descriptor, (c.DIFF_SRC, c.WEIGHTS, c.DIFF_DST))


def weights_kernel(library: Library, shape: ConvolutionShape, compute: int, forward: Kernel) -> Kernel:
    """Return the kernel of the gradients of weights and bias, float32; `forward` is the kernel of the output."""
    bias = _bias(library, shape)
    source, weights = library.free(shape.source, compute), library.free(shape.grouped_weights, c.FLOAT32)
    gradient = library.free(shape.destination, compute)
    descriptor = library.create(
        "primitive_desc", library.engine.value, c.DIRECT, source.value, weights.value, bias.value if bias else None,
        gradient.value, *_attributes(shape), forward.descriptor.value, library.attributes.value,
        function="convolution_backward_weights_primitive_desc_create",
    )  # fmt: skip
    return Kernel(library, descriptor, (c.SRC, c.DIFF_WEIGHTS, *([c.DIFF_BIAS] if bias else []), c.DIFF_DST))


def _attributes(shape: ConvolutionShape) -> tuple[Any, ...]:
    dilates = [dilation - 1 for dilation in shape.dilations]
    return tuple(c.sizes(values) for values in (shape.strides, dilates, shape.begin, shape.end))


def _bias(library: Library, shape: ConvolutionShape) -> Owned | None:
    return library.plain(shape.weights[:1]) if shape.bias else None
