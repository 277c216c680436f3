"""The stream that `torch.save` wrote before torch 1.6: five pickles, then the storages in the order of the fifth."""

from __future__ import annotations

import struct
from typing import Any

from ppresnet.errors import WeightsError
from ppresnet.weights.limits import Limits
from ppresnet.weights.machine import evaluate
from ppresnet.weights.torch_objects import TORCH, Storages

MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_COUNT = struct.Struct("<q")


def is_torch_stream(head: bytes) -> bool:
    """Return whether a file that begins so is such a stream."""
    return head[:1] == b"\x80" and MAGIC.to_bytes(10, "little") in head[:32]


def read_torch_stream(data: memoryview, limits: Limits) -> Any:
    """Return what the stream holds, its tensors not yet read.

    Raises:
        WeightsError: it is broken, or a pickle in it asks for more than data.
    """
    position, found = 0, []
    for _ in range(3):
        value, position = evaluate(data, position, {}, 100)
        found.append(value)
    if found[0] != MAGIC or found[1] != _PROTOCOL or not isinstance(found[2], dict):
        raise WeightsError("its head is not that of a torch file of protocol 1001")
    if found[2].get("little_endian") is not True:
        raise WeightsError("its numbers are in big-endian order; save it again on a little-endian machine")
    places: dict[str, memoryview] = {}
    storages = Storages(lambda key, size: places.get(key, memoryview(b"")))
    state, position = evaluate(data, position, TORCH, limits.instructions, storages.persistent)
    keys, position = evaluate(data, position, {}, limits.instructions)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise WeightsError("its list of storages is no list of names")
    for key in keys:
        places[key], position = _storage(data, position, key, storages)
    return state


def _storage(data: memoryview, position: int, key: str, storages: Storages) -> tuple[memoryview, int]:
    """Return the bytes of the storage whose count of elements is at `position`, and where they end."""
    if key not in storages.by_key:
        raise WeightsError(f"it has a storage {key[:40]!r} that no tensor refers to")
    storage = storages.by_key[key]
    start, end = position + _COUNT.size, position + _COUNT.size + storage.nbytes
    if len(data) < end:
        raise WeightsError(f"it ends too early: the storages need {end} bytes, {len(data)} are there; copy it again")
    (count,) = _COUNT.unpack(data[position:start])
    if count != storage.count:
        raise WeightsError(f"the storage {key[:40]!r} has {count} elements; its pickle says {storage.count}")
    return data[start:end], end
