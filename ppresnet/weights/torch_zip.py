"""The zip files that `torch.save` writes since torch 1.6: a pickle, and a member for each storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ppresnet.errors import WeightsError
from ppresnet.files import Archive, open_zip
from ppresnet.weights.limits import Limits
from ppresnet.weights.machine import evaluate
from ppresnet.weights.torch_objects import TORCH, Storages

MAGIC = b"PK\x03\x04"
_MAX_PICKLE = 256 * 2**20


def read_torch_zip(path: Path, limits: Limits) -> Any:
    """Return what a zip of `torch.save` holds, its tensors not yet read.

    Raises:
        WeightsError: it is no such zip, or its pickle is broken or asks for more than data.
        DataError: the zip itself is broken or unsafe.
    """
    archive = open_zip(path, max_members=limits.tensors + 100)
    top = _top(archive)
    if f"{top}constants.pkl" in archive.members():
        raise WeightsError("it is a TorchScript program, not weights; save its state_dict()")
    order = f"{top}byteorder"
    if order in archive.members() and archive.read(order, 16) != b"little":
        raise WeightsError("its numbers are in big-endian order; save it again on a little-endian machine")
    storages = Storages(lambda key, size: archive.read(f"{top}data/{key}", size))
    data = memoryview(archive.read(f"{top}data.pkl", _MAX_PICKLE))
    return evaluate(data, 0, TORCH, limits.instructions, storages.persistent)[0]


def _top(archive: Archive) -> str:
    """Return the folder that `data.pkl` is in, with a slash at its end."""
    found = [name for name in archive.members() if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(found) != 1:
        raise WeightsError(f"it is a zip with {len(found)} members FOLDER/data.pkl; expected one, as torch.save writes")
    return found[0].removesuffix("data.pkl")
