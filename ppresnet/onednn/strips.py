"""The gradient of a convolution's weights from images side by side, where rows are short for the tiles of the CPU.

A tile of AMX sums up 32 products of bfloat16 at once, here those of one row of the output: a row of 8 fills a quarter
of it. So images are copied into strips, with a gap of zeros after each as wide as the padding, and a strip is an image
to the kernel. What the gaps add to the sums is zero.
"""

import threading
from collections.abc import Mapping
from typing import NamedTuple

import paddle

from ppresnet.onednn import api as c
from ppresnet.onednn.convolution_kernels import ConvolutionShape, forward_kernel, weights_kernel
from ppresnet.onednn.kernel import Conversion, Kernel
from ppresnet.onednn.library import Library, Owned
from ppresnet.onednn.session import Session

SHORT = 16  # columns; of more, rows fill tiles well enough
ENOUGH = 96  # columns of a strip
_BYTES = 2  # of a bfloat16


class Strip(NamedTuple):
    """So many images side by side, with so many columns of zeros after each."""

    images: int
    gap: int

    def shape_of(self, images: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape that images [batch, channels, height, width] have in strips."""
        batch, channels, height, width = images
        return batch // self.images, channels, height, self.images * (width + self.gap)


class Spread:
    """The copies of images into strips.

    Args:
        library: the library.
        shape: of the images, bfloat16, channels last in memory.
        strip: how they lie side by side.
    """

    def __init__(self, library: Library, shape: tuple[int, ...], strip: Strip) -> None:
        _, channels, height, width = shape
        strips, *_, row = strip.shape_of(shape)
        dims = (strips, strip.images, height, width, channels)
        line, row_line = width * channels, row * channels
        source = library.plain(dims, c.BFLOAT16)
        apart = (height * row_line, line + strip.gap * channels, row_line, channels, 1)
        target = library.strided(dims, apart, c.BFLOAT16)
        self._there = Conversion(library, source.value, target.value)
        self._kept = paddle.zeros([strips * height * row_line * _BYTES], "uint8")  # the gaps stay zero

    def enter(self, session: Session, address: int) -> int:
        """Return where the strips of the images at an address are, until the next call."""
        self._there.copy(session, address, self._kept.data_ptr())
        return int(self._kept.data_ptr())


class Strips:
    """The gradients of weights and bias of one convolution, from strips.

    Args:
        library: the library.
        shape: of the convolution.
        strip: how the images lie side by side.

    Attributes:
        kernel: that of the strips.

    Raises:
        OneDnnError: `unimplemented` where oneDNN has no such kernel.
    """

    def __init__(self, library: Library, shape: ConvolutionShape, strip: Strip) -> None:
        wide = shape._replace(source=strip.shape_of(shape.source))
        forward = forward_kernel(library, wide, c.BFLOAT16, c.BFLOAT16)
        self.kernel = weights_kernel(library, wide, c.BFLOAT16, forward)
        self._spreads = {
            c.SRC: Spread(library, shape.source, strip),
            c.DIFF_DST: Spread(library, shape.destination, strip),
        }
        self._lock = threading.Lock()

    def run(self, session: Session, addresses: Mapping[int, int]) -> None:
        """Compute, as the kernel of the convolution itself would from the same addresses."""
        with self._lock:
            spread = {argument: one.enter(session, addresses[argument]) for argument, one in self._spreads.items()}
            self.kernel.run(session, {**addresses, **spread})


def strips(library: Library, shape: ConvolutionShape, compute: int, kernel: Kernel) -> Strips | None:
    """Return how to sum up the gradient of the weights from strips, None where that would gain nothing.

    Args:
        library: the library.
        shape: of the convolution.
        compute: type of the kernels' inputs.
        kernel: the one that would do without.

    Raises:
        OneDnnError: a function of the library fails.
    """
    strip = strip_of(shape)
    if compute != c.BFLOAT16 or strip.images == 1 or "amx" not in library.implementation(kernel.descriptor):
        return None
    found = Strips(library, shape, strip)
    fits = _channels_last(library, kernel, shape) and _channels_last(
        library, found.kernel, shape._replace(source=strip.shape_of(shape.source))
    )
    return found if fits else None


def strip_of(shape: ConvolutionShape) -> Strip:
    """Return how images lie side by side best; alone where the kernel is no odd square that keeps their size."""
    gap, width = shape.begin[1], shape.source[3]
    odd_square = shape.weights[2:] == (2 * gap + 1, 2 * gap + 1)
    keeps_size = shape.begin == shape.end == (gap, gap) and shape.strides == shape.dilations == (1, 1)
    images = 1
    if shape.groups == 1 and gap > 0 and odd_square and keeps_size and width <= SHORT:
        while shape.source[0] % (2 * images) == 0 and images * (width + gap) < ENOUGH:
            images *= 2
    return Strip(images, gap)


def _channels_last(library: Library, kernel: Kernel, shape: ConvolutionShape) -> bool:
    return all(
        library.same(kernel.layouts[argument], layout.value)
        for argument, layout in ((c.SRC, _nhwc(library, shape.source)), (c.DIFF_DST, _nhwc(library, shape.destination)))
    )


def _nhwc(library: Library, dims: tuple[int, ...]) -> Owned:
    _, channels, height, width = dims
    return library.strided(dims, (height * width * channels, 1, width * channels, channels), c.BFLOAT16)
