"""A network as programs that Paddle Inference reads: `.json`, `.pdmodel`, and one parameter file for both."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from paddle import nn
from paddle.static import InputSpec

from ppresnet.bundle import JSON, PARAMS, PDMODEL
from ppresnet.errors import BundleError, CheckFailedError, ConfigError, PpresnetError, StorageError
from ppresnet.export.params import read_params
from ppresnet.paddle_api import Format, save_program

PREFIX = "inference"


def freeze(model: nn.Layer, directory: Path, image_shape: tuple[int, int, int], formats: Sequence[Format]) -> None:
    """Write the programs of a network into a folder, with a free batch dimension.

    Paddle does not notice a full disk when it writes parameters, so every tensor is read back and compared.

    Args:
        model: in evaluation mode.
        directory: exists; gets `inference.json` and/or `inference.pdmodel`, and `inference.pdiparams`.
        image_shape: channels, height and width of the input.
        formats: of `json` and `pdmodel`.

    Raises:
        ConfigError: a layer cannot be a program.
        CheckFailedError: the formats do not share their parameters.
        StorageError: what was written is not what was meant.
        PpresnetError: Paddle could not save the network.
    """
    _expect_exportable(model)
    hashes = {}
    for format in formats:
        (directory / PARAMS).unlink(missing_ok=True)
        _save(model, directory / PREFIX, image_shape, format)
        _check_params(model, directory / PARAMS)
        hashes[format] = hashlib.sha256((directory / PARAMS).read_bytes()).hexdigest()
    if len(set(hashes.values())) > 1:
        found = ", ".join(f".{format} {digest[:12]}" for format, digest in hashes.items())
        raise CheckFailedError(
            f"{PARAMS}: expected the same parameters for every format, found {found}; report this model"
        )
    if JSON in {path.name for path in directory.iterdir()}:
        _check_json(directory / JSON)
    # Paddle 3.3 and 2.6 leave a pickle of variable names beside the parameters; no predictor reads it.
    (directory / f"{PARAMS}.info").unlink(missing_ok=True)


def _expect_exportable(model: nn.Layer) -> None:
    for name, layer in model.named_sublayers(include_self=True):
        if not hasattr(layer, "check_exportable"):
            continue
        try:
            layer.check_exportable()
        except ConfigError as error:
            raise ConfigError(*(f"{name or type(layer).__name__}: {problem}" for problem in error.problems)) from error


def _save(model: nn.Layer, prefix: Path, image_shape: tuple[int, int, int], format: Format) -> None:
    program = prefix.parent / (JSON if format == "json" else PDMODEL)
    try:
        save_program(model, prefix, [InputSpec([None, *image_shape], "float32", "image")], format)
    except (OSError, PpresnetError):
        raise
    except Exception as error:  # Paddle raises whatever it likes here, bare RuntimeErrors for a failed write among them
        raise PpresnetError(f"Paddle could not save {program.name}: {type(error).__name__}: {error}") from error
    for path in (program, prefix.parent / PARAMS):
        if not path.is_file() or not path.stat().st_size:
            raise StorageError(f"Paddle left no content in {path}; check the space and the permissions there")


def _check_params(model: nn.Layer, path: Path) -> None:
    tensors = {tensor.name: tensor for tensor in (*model.state_dict().values(), *model.buffers())}
    expected = [np.asarray(tensors[name]) for name in sorted(tensors)]
    try:
        found = read_params(path)
    except BundleError as error:
        raise StorageError(f"{error}; Paddle does not notice a full disk: check the space there") from error
    if len(found) != len(expected):
        raise StorageError(f"{path} has {len(found)} tensors, expected {len(expected)}; check the space there")
    for index, (ours, theirs) in enumerate(zip(expected, found, strict=True)):
        if ours.shape != theirs.shape or ours.tobytes() != theirs.tobytes():
            raise StorageError(
                f"{path}: tensor {index} {list(theirs.shape)} is not the network's; check the disk there"
            )


def _check_json(path: Path) -> None:
    try:
        json.loads(path.read_bytes())
    except ValueError as error:
        raise StorageError(f"{path} is cut off: {error}; check the space there") from error
