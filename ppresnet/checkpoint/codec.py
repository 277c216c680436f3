"""What a checkpoint is, and its one encoding: safetensors for arrays, JSON for the rest, never pickle."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

Tensors = Mapping[str, npt.NDArray[Any]]

REQUIRED = {"weights.safetensors", "optimizer.safetensors", "spec.json", "config.json", "progress.json"}
OPTIONAL = {"ema.safetensors"}
_TENSORS = ("weights", "optimizer", "ema")
_DOCUMENTS = ("spec", "config", "progress")
_DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
_DTYPES += ["float16", "float32", "float64", "complex64"]


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on.

    Args:
        weights: parameters and buffers by structured name.
        optimizer: optimizer state by structured name; may be empty.
        ema: averaged weights by structured name; empty without EMA.
        spec: the ModelSpec as JSON data.
        config: the resolved RunConfig as JSON data.
        progress: epoch, step, best and the like as JSON data, without NaN or infinity.

    Arrays keep shape and dtype; bfloat16 is passed as Paddle does, as its bits in uint16.
    """

    weights: Tensors
    optimizer: Tensors
    ema: Tensors
    spec: Mapping[str, Any]
    config: Mapping[str, Any]
    progress: Mapping[str, Any]


def encode(checkpoint: Checkpoint) -> dict[str, bytes]:
    """Return file contents by name, a pure function of the checkpoint.

    Raises:
        ValueError: an array's dtype or a value of the JSON data cannot be stored.
    """
    contents = {}
    for kind in _TENSORS:
        tensors = getattr(checkpoint, kind)
        if tensors or kind != "ema":
            contents[f"{kind}.safetensors"] = _encode_tensors(kind, tensors)
    for kind in _DOCUMENTS:
        try:
            text = json.dumps(getattr(checkpoint, kind), sort_keys=True, allow_nan=False, indent=1)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{kind} is not JSON: {error}; store None for infinity, numbers for arrays") from error
        contents[f"{kind}.json"] = (text + "\n").encode()
    return contents


def decode(contents: Mapping[str, bytes]) -> Checkpoint:
    """Return the checkpoint that `contents` encode; `REQUIRED` must be among their names.

    Raises:
        ValueError: a file is not what its name says.
    """
    try:
        tensors = {kind: _decode_tensors(contents.get(f"{kind}.safetensors")) for kind in _TENSORS}
        documents = {kind: _decode_document(contents[f"{kind}.json"]) for kind in _DOCUMENTS}
    except (SafetensorError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return Checkpoint(**tensors, **documents)


def _encode_tensors(kind: str, tensors: Tensors) -> bytes:
    plain = {}
    for name, value in sorted(tensors.items()):
        if value.dtype.name not in _DTYPES:
            raise ValueError(f"{kind}: {name} has dtype {value.dtype}, expected one of {', '.join(_DTYPES)}")
        # safetensors.numpy 0.8 writes memory as it lies: Fortran order would come back scrambled, without an error.
        plain[name] = np.asarray(value, order="C")
    return safetensors.numpy.save(plain)


def _decode_tensors(data: bytes | None) -> dict[str, npt.NDArray[Any]]:
    return {} if data is None else dict(sorted(safetensors.numpy.load(data).items()))


def _decode_document(data: bytes) -> dict[str, Any]:
    value = json.loads(data, parse_constant=_no_constant)
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object was expected, found {type(value).__name__}")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")
