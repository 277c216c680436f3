"""From what a file holds to its state dict: the nesting taken off, the common prefix too, every array counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ppresnet.errors import WeightsError
from ppresnet.weights.array import LazyArray
from ppresnet.weights.limits import Limits
from ppresnet.weights.numpy_objects import PickledArray
from ppresnet.weights.storage import BFLOAT16

# Where training scripts put the state dict; the first that is there is taken.
ENTRIES = ("state_dict", "model_state_dict", "model", "net", "state_dict_ema", "model_ema")
PREFIXES = ("module.", "_orig_mod.")
_DEEPEST = 3


def find_state(value: Any, entry: str | None) -> tuple[dict[str, LazyArray], list[str]]:
    """Return the state dict in what a file holds, and sentences about what was done to find it.

    Args:
        value: what the file holds.
        entry: which of its entries is wanted; None takes the first of `ENTRIES`.

    Raises:
        WeightsError: there is no such entry, or no array.
    """
    notes: list[str] = []
    for _ in range(_DEEPEST):
        if not isinstance(value, dict):
            raise WeightsError(f"it holds a {_kind(value)}; expected a dictionary of tensors: save state_dict()")
        held = [name for name in ((entry,) if entry else ENTRIES) if isinstance(value.get(name), dict)]
        if not held:
            break
        others = [name for name in value if name != held[0]]
        notes.append(f"took {held[0]!r}" + (f"; the file also holds {_names(others)}" if others else ""))
        value, entry = value[held[0]], None
    if entry:
        raise WeightsError(f"it has no entry {entry!r} that is a dictionary; it holds {_names(value)}")
    arrays = {name: array for name, item in value.items() if (array := _array(item)) is not None}
    if not arrays or not all(isinstance(name, str) for name in arrays):
        raise WeightsError(
            f"it has no tensors under names; it holds {_names(value) or 'nothing'}. "
            f"Expected a state dict, or one under {', '.join(ENTRIES)}"
        )
    if left := [name for name in value if name not in arrays]:
        notes.append(f"left out what is no tensor: {_names(left)}")
    return _stripped(arrays, notes), notes


def load_all(arrays: dict[str, LazyArray], limits: Limits) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the arrays, floating point as float32, and sentences about what was converted.

    Raises:
        WeightsError: there are more than the limits allow, or a storage has not the bytes it should have.
    """
    if len(arrays) > limits.tensors:
        raise WeightsError(f"it holds {len(arrays)} tensors; at most {limits.tensors} are read")
    storages = {id(array.storage): array.storage for array in arrays.values()}.values()
    held, wanted = sum(one.nbytes for one in storages), sum(array.nbytes for array in arrays.values())
    most = min(limits.bytes, limits.copies * held)
    if held > limits.bytes or wanted > most:
        raise WeightsError(f"its tensors take {wanted} bytes, its storages {held}; at most {most} are read")
    for storage in storages:
        _ = storage.flat  # all are there before any is converted
    notes = []
    for dtype in ("float16", BFLOAT16, "float64"):
        if count := sum(array.storage.dtype == dtype for array in arrays.values()):
            notes.append(f"{count} {'tensors' if count > 1 else 'tensor'} of {dtype} became float32")
    return {name: array.load() for name, array in arrays.items()}, notes


def _array(item: Any) -> LazyArray | None:
    """Return the array that an item is or, as Paddle's pairs of name and array do, contains."""
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        item = item[1]
    if isinstance(item, PickledArray):
        return item.array
    return item if isinstance(item, LazyArray) else None


def _stripped(arrays: dict[str, LazyArray], notes: list[str]) -> dict[str, LazyArray]:
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in arrays):
            notes.append(f"took the prefix {prefix!r} off every name")
            arrays = {name.removeprefix(prefix): array for name, array in arrays.items()}
    return arrays


def _kind(value: Any) -> str:
    return "tensor" if isinstance(value, LazyArray | PickledArray) else type(value).__name__


def _names(names: Iterable[Any]) -> str:
    listed = list(names)
    shown = ", ".join(repr(name)[:60] for name in listed[:6])
    return shown + (f" and {len(listed) - 6} more" if len(listed) > 6 else "")
