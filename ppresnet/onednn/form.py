"""How a tensor lies in memory: what oneDNN calls it, and what Paddle does."""

from typing import Any, Literal, NamedTuple, TypeAlias

import paddle
from paddle import Tensor

from ppresnet.onednn.api import BFLOAT16, FLOAT32, Handle
from ppresnet.onednn.library import Library
from ppresnet.paddle_api import empty

_KINDS = {FLOAT32: (paddle.float32, 4), BFLOAT16: (paddle.bfloat16, 2)}  # dtype of Paddle, bytes


class Form(NamedTuple):
    """The form of a tensor [batch, channels, height, width].

    Attributes:
        layout: descriptor of oneDNN.
        dtype: of the elements, `FLOAT32` or `BFLOAT16`.
        channels: of the tensor.
        shape: of the tensor of Paddle that holds it.
        kind: dtype of that; `paddle.uint8` where it is bytes to Paddle.
        owner: whom the descriptor belongs to.
    """

    layout: Handle
    dtype: int
    channels: int
    shape: list[int]
    kind: Any
    owner: Any

    def empty(self) -> Tensor:
        """Return a new tensor of this form."""
        return empty(self.shape, self.kind)


Whereto: TypeAlias = Form | Literal["plain", "inner"]
"""The form of an output: a given one, an ordinary tensor's, or the one that the kernels have anyway."""


def plain(library: Library, shape: tuple[int, ...]) -> Form:
    """Return the form of an ordinary tensor, float32 [batch, channels, height, width]."""
    owner = library.plain(shape)
    return Form(owner.value, FLOAT32, shape[1], list(shape), paddle.float32, owner)


def within(library: Library, layout: Handle, dtype: int, channels: int, owner: object) -> Form:
    """Return the form of what only kernels see: bytes."""
    return Form(layout, dtype, channels, [library.size(layout)], paddle.uint8, owner)


def between(library: Library, layout: Handle, dtype: int, channels: int, owner: object) -> Form:
    """Return the form of what is passed on from kernels to kernels with a gradient: a row of numbers."""
    kind, size = _KINDS[dtype]
    return Form(layout, dtype, channels, [library.size(layout) // size], kind, owner)
