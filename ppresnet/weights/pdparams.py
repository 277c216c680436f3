"""The pickles that `paddle.save` writes: a dictionary of numpy arrays, or of pairs of a name and an array."""

from __future__ import annotations

from typing import Any

from ppresnet.errors import WeightsError
from ppresnet.weights.limits import Limits
from ppresnet.weights.machine import evaluate
from ppresnet.weights.numpy_objects import numpy_vocabulary
from ppresnet.weights.vocabulary import PLAIN, Vocabulary

# Paddle's own table from the names in the dictionary to the names of the parameters.
NAMES_TABLE = "StructuredToParameterName@@"
_SLICES = "UnpackBigParamInfor@@"


def is_pickle(head: bytes) -> bool:
    """Return whether a file that begins so is a pickle of protocol 2 to 5."""
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5


def read_pdparams(data: memoryview, limits: Limits) -> Any:
    """Return what the pickle holds, without Paddle's table of names, its arrays not yet read.

    Raises:
        WeightsError: it is broken, asks for more than data, or its arrays are cut into slices.
    """
    state, _ = evaluate(data, 0, PADDLE, limits.instructions)
    if isinstance(state, dict):
        if _SLICES in state:
            raise WeightsError("its arrays are cut into slices; save it again with paddle.save(..., protocol=4)")
        state.pop(NAMES_TABLE, None)
    return state


def _tuple(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the pair of a name and an array, as Paddle pickles a tensor that is not in a plain state dict."""
    if len(arguments) != 1 or not isinstance(arguments[0], tuple):
        raise WeightsError("its pickle makes a tuple of something other than a tuple")
    return arguments[0]


PADDLE: Vocabulary = {**PLAIN, **numpy_vocabulary(uint16_is_bfloat16=True), "builtins.tuple": _tuple}
