"""max(x, 0) of its own, as after the addition of a residual block; Paddle's runs in one thread."""

import math
from typing import NamedTuple

from paddle import Tensor

from ppresnet.onednn import api as c
from ppresnet.onednn.kernel import Kernel
from ppresnet.onednn.library import Library
from ppresnet.onednn.session import Session


class ReluShape(NamedTuple):
    """A ReLU of a tensor of this shape and type."""

    source: tuple[int, ...]
    dtype: int = c.FLOAT32


class ReluPlan:
    """The primitives of a ReLU of one shape, on tensors without gaps; the gradient follows from the output.

    Args:
        library: the library.
        shape: of the tensor.
    """

    def __init__(self, library: Library, shape: ReluShape) -> None:
        row = library.plain([math.prod(shape.source)], shape.dtype)
        forward = library.create(
            "primitive_desc", library.engine.value, c.FORWARD_TRAINING, c.RELU_BY_OUTPUT, row.value, row.value,
            0.0, 0.0, library.attributes.value, function="eltwise_forward_primitive_desc_create",
        )  # fmt: skip
        backward = library.create(
            "primitive_desc", library.engine.value, c.RELU_BY_OUTPUT, row.value, row.value, row.value,
            0.0, 0.0, forward.value, library.attributes.value, function="eltwise_backward_primitive_desc_create",
        )  # fmt: skip
        self.forward = Kernel(library, forward, (c.SRC, c.DST))
        self.backward = Kernel(library, backward, (c.DST, c.DIFF_DST, c.DIFF_SRC))

    def run(self, session: Session, source: Tensor, destination: Tensor) -> None:
        """Compute the output into `destination`."""
        self.forward.run(session, {c.SRC: source.data_ptr(), c.DST: destination.data_ptr()})

    def run_backward(self, session: Session, output: Tensor, gradient: Tensor, target: Tensor) -> None:
        """Compute the gradient of the input into `target`."""
        addresses = {c.DST: output.data_ptr(), c.DIFF_DST: gradient.data_ptr(), c.DIFF_SRC: target.data_ptr()}
        self.backward.run(session, addresses)
