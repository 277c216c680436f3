"""Every n-th pixel with zero channels around it (option A of He et al. 2015), which Paddle's kernels are slow at."""

from typing import Any, NamedTuple

import paddle
from paddle import Tensor
from paddle.autograd import PyLayer

from ppresnet.onednn.functions import contiguous, first_order
from ppresnet.onednn.kernel import Conversion
from ppresnet.onednn.library import Library
from ppresnet.onednn.session import Session

_FLOAT_BYTES = 4


class PadShape(NamedTuple):
    """A subsampling and padding of given sizes.

    Attributes:
        source: batch, channels, height, width.
        stride: of the pixels that are kept.
        before: zero channels before the input.
        after: zero channels behind it.
    """

    source: tuple[int, ...]
    stride: int
    before: int
    after: int

    @property
    def destination(self) -> tuple[int, ...]:
        """Batch, output channels, height, width."""
        batch, channels, height, width = self.source
        return batch, self.before + channels + self.after, -(-height // self.stride), -(-width // self.stride)


class PadPlan:
    """The copies of a padding of one shape, there and back."""

    def __init__(self, library: Library, shape: PadShape) -> None:
        self.shape = shape
        (batch, channels, height, width), (_, wide, rows, columns) = shape.source, shape.destination
        kept = (batch, channels, rows, columns)
        source = library.strided(kept, (channels * height * width, height * width, shape.stride * width, shape.stride))
        destination = library.strided(kept, (wide * rows * columns, rows * columns, columns, 1))
        self._offset = shape.before * rows * columns * _FLOAT_BYTES
        self._there = Conversion(library, source.value, destination.value)
        self._back = Conversion(library, destination.value, source.value)

    def run(self, session: Session, source: Tensor) -> Tensor:
        """Return the padded tensor."""
        result = paddle.zeros(self.shape.destination, "float32")
        self._there.copy(session, source.data_ptr(), result.data_ptr() + self._offset)
        return result

    def run_backward(self, session: Session, gradient: Tensor) -> Tensor:
        """Return the gradient of the source."""
        result = paddle.zeros(self.shape.source, "float32")
        self._back.copy(session, gradient.data_ptr() + self._offset, result.data_ptr())
        return result


class ZeroPad(PyLayer):
    """Pads a plain float32 tensor: `ZeroPad.apply(source, plan, session)`."""

    @staticmethod
    def forward(context: Any, source: Tensor, plan: PadPlan, session: Session) -> Tensor:
        """Return float32 [batch, output channels, ceil(height / stride), ceil(width / stride)]."""
        context.plan, context.session = plan, session
        return plan.run(session, contiguous(source))

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        """Return the gradient of the source."""
        plan: PadPlan = context.plan
        return plan.run_backward(context.session, first_order(gradient))
