"""Tensors as `torch.save` writes them: views of storages that are named in the pickle and lie beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ppresnet.errors import WeightsError
from ppresnet.weights.array import LazyArray
from ppresnet.weights.numpy_objects import numpy_vocabulary
from ppresnet.weights.storage import BFLOAT16, Storage
from ppresnet.weights.vocabulary import PLAIN, Ignored, Name, Vocabulary

_DTYPES: Mapping[str, str] = {
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": BFLOAT16,
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
}
STORAGES = {f"{place}.{kind}Storage": dtype for place in ("torch", "torch.cuda") for kind, dtype in _DTYPES.items()}
_TORCH_DTYPES = ("float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool")


class Storages:
    """The storages that a pickle names, each once.

    Args:
        read: gives a storage's bytes by its key and their expected number.
    """

    def __init__(self, read: Callable[[str, int], memoryview | bytes]) -> None:
        self.by_key: dict[str, Storage] = {}
        self._read = read

    def persistent(self, found: Any) -> LazyArray:
        """Return the elements that a persistent id means.

        Args:
            found: (`storage`, class, key, place, count), and in old files (key, offset, count) of a part of it or None.

        Raises:
            WeightsError: it is something else, or the same key was described otherwise before.
        """
        if not isinstance(found, tuple) or len(found) not in (5, 6) or not isinstance(found[0], str):
            raise WeightsError("it refers to something that is no storage of a tensor")
        kind, named, key, _, count = found[:5]
        if kind != "storage" or not isinstance(named, Name) or named.text not in STORAGES or not isinstance(key, str):
            raise WeightsError(
                f"it refers to a {kind[:40]!r} of a kind that is not known; expected a storage of a tensor"
            )
        storage = self.by_key.get(key)
        if storage is None:
            storage = Storage(STORAGES[named.text], count, lambda: self._read(key, self.by_key[key].nbytes))
            self.by_key[key] = storage
        if (storage.dtype, storage.count) != (STORAGES[named.text], count):
            raise WeightsError(f"it describes the storage {key[:40]!r} in two ways")
        part = found[5] if len(found) == 6 else None
        if part is None:
            return LazyArray(storage, (storage.count,))
        if not isinstance(part, tuple) or len(part) != 3:
            raise WeightsError(f"it describes a part of the storage {key[:40]!r} in an unknown way")
        return LazyArray(storage, (part[2],), offset=part[1])


def _tensor(arguments: tuple[Any, ...]) -> LazyArray:
    """Return the view that (elements, offset, shape, strides, ...) describe."""
    if len(arguments) < 4 or not isinstance(arguments[0], LazyArray):
        raise WeightsError("a tensor in it has no storage, offset, shape and strides")
    elements, offset, shape, strides = arguments[:4]
    view = LazyArray(elements.storage, shape, strides, offset)
    if not elements.offset:
        return view
    return LazyArray(elements.storage, shape, strides, view.offset + elements.offset)


def _parameter(arguments: tuple[Any, ...]) -> LazyArray:
    if not arguments or not isinstance(arguments[0], LazyArray):
        raise WeightsError("a parameter in it has no tensor")
    return arguments[0]


def _ignored(arguments: tuple[Any, ...]) -> Ignored:
    return Ignored()


def _shape(arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if arguments else ()


TORCH: Vocabulary = {
    **PLAIN,
    **numpy_vocabulary(uint16_is_bfloat16=False),
    **dict.fromkeys(STORAGES),
    **{f"torch.{name}": None for name in _TORCH_DTYPES},
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.Size": _shape,
    "torch.device": _ignored,
}
