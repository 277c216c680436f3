"""One function that opens weights of any known format, by their content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ppresnet.errors import DataError, WeightsError
from ppresnet.weights.limits import Limits
from ppresnet.weights.pdparams import is_pickle, read_pdparams
from ppresnet.weights.safetensors_file import is_safetensors, read_safetensors
from ppresnet.weights.state import find_state, load_all
from ppresnet.weights.torch_stream import is_torch_stream, read_torch_stream
from ppresnet.weights.torch_zip import MAGIC, read_torch_zip

_HEAD = 512
_KNOWN = "safetensors, a zip or a stream of torch.save, or a pickle of paddle.save"


@dataclass(frozen=True)
class Weights:
    """The tensors of a foreign file by their foreign names.

    Attributes:
        tensors: arrays in row-major order; floating point of any width is float32.
        format: `safetensors`, `torch zip`, `torch stream` or `paddle pickle`.
        notes: sentences about what was unwrapped, renamed, converted and left out.
    """

    tensors: Mapping[str, np.ndarray]
    format: str
    notes: tuple[str, ...]


def read_weights(path: str | Path, *, entry: str | None = None, limits: Limits | None = None) -> Weights:
    """Return the weights in a file of another library; no code in it is run, and the library is not needed.

    Args:
        path: of the file; its content decides what it is, not its name.
        entry: which state dict of several to take, such as `state_dict_ema`; None takes the first of `ENTRIES`.
        limits: how much may be read.

    Raises:
        WeightsError: it is missing, too large, broken, of no known format, or asks for more than data.
    """
    path, limits = Path(path), limits or Limits()
    try:
        format, value = _open(path, limits)
        arrays, notes = find_state(value, entry)
        tensors, converted = load_all(arrays, limits)
    except (WeightsError, DataError) as error:
        raise WeightsError(f"{path} cannot be taken as weights: {error}") from error
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}; check the path and the permissions") from error
    except (RecursionError, MemoryError) as error:
        raise WeightsError(f"{path} cannot be taken as weights: it is too large for this machine") from error
    return Weights(tensors, format, (*notes, *converted))


def _open(path: Path, limits: Limits) -> tuple[str, Any]:
    if not path.is_file():
        raise WeightsError("there is no such file")
    size = path.stat().st_size
    if size > limits.bytes:
        raise WeightsError(f"it has {size} bytes; at most {limits.bytes} are read")
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if head.startswith(MAGIC):
            return "torch zip", read_torch_zip(path, limits)
        data = head + file.read(limits.bytes + 1 - len(head))
    if is_safetensors(head, size):
        return "safetensors", read_safetensors(data)
    if is_torch_stream(head):
        return "torch stream", read_torch_stream(memoryview(data), limits)
    if is_pickle(head):
        return "paddle pickle", read_pdparams(memoryview(data), limits)
    if head[257:262] == b"ustar":
        raise WeightsError("it is a tar, as torch 0.1 wrote; load and save it with a newer torch")
    raise WeightsError(f"it begins with {head[:8]!r}; expected {_KNOWN}")
