"""What is exported, and how its files and its `deploy.json` come into a staged folder."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from ppresnet import __version__
from ppresnet.bundle import (
    DEPLOY,
    GOLDEN,
    JSON,
    LABELS,
    ONNX,
    Activation,
    Deploy,
    FusionRow,
    ParityRow,
    Port,
    Site,
    Source,
    list_files,
)
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import model_of
from ppresnet.config import RunConfig
from ppresnet.data import preprocess_of
from ppresnet.errors import RequestError
from ppresnet.export.freeze import freeze
from ppresnet.export.golden import write_golden
from ppresnet.export.onnx import convert
from ppresnet.files import MANIFEST
from ppresnet.layers.sites import promised_sites
from ppresnet.paddle_api import Format
from ppresnet.pixels import Preprocess

_PROGRAMS: Mapping[str, str] = {"json": JSON, "onnx": ONNX}
_ACTIVATIONS: Mapping[str, Activation] = {"cross_entropy": "softmax", "bce": "sigmoid"}  # by train.loss
_PRODUCERS = ("paddlepaddle", "paddlepaddle-gpu", "paddle2onnx", "onnx", "numpy", "pillow")


@dataclass(frozen=True)
class Subject:
    """What is exported: a checkpoint as a network in evaluation mode, with its preprocessing and class names."""

    checkpoint: Checkpoint
    path: Path
    config: RunConfig
    model: nn.Layer
    preprocess: Preprocess
    classes: tuple[str, ...]

    @property
    def sites(self) -> tuple[Site, ...]:
        """What its blocks promise to run as one operator."""
        return promised_sites(self.model)

    def logits(self, images_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the network's own output, float32 [batch, classes]."""
        with paddle.no_grad():
            return np.asarray(self.model(paddle.to_tensor(images_NCHW)))


def subject_of(checkpoint: Checkpoint, path: Path, config: RunConfig) -> Subject:
    """Return a checkpoint ready for export.

    Args:
        checkpoint: what `path` holds.
        path: its step folder.
        config: the recipe that says how images are preprocessed.

    Raises:
        CheckpointError: the weights do not fit the spec.
        RequestError: the recipe or the class names do not fit the network.
    """
    # Names come from counters of the process; so made, the same checkpoint gives the same bytes.
    with paddle.utils.unique_name.guard():
        model = model_of(checkpoint)
    for name, buffer in model.named_buffers():
        if name not in model.state_dict():
            buffer.name = f"buffer_{name.replace('.', '_')}"
    spec = model.spec
    if config.model.in_channels != spec.in_channels or config.model.num_classes != spec.num_classes:
        raise RequestError(
            f"the recipe has {config.model.in_channels} channels and {config.model.num_classes} classes, "
            f"the checkpoint {spec.in_channels} and {spec.num_classes}; use the recipe it was trained with"
        )
    classes = tuple(checkpoint.progress.get("classes") or map(str, range(spec.num_classes)))
    if len(classes) != spec.num_classes or tuple("\n".join(classes).splitlines()) != classes:
        raise RequestError(
            f"expected {spec.num_classes} class names of one line each, found {list(classes)[:10]}; rename them"
        )
    return Subject(checkpoint, path, config, model, preprocess_of(config.data, spec.in_channels), classes)


def write_files(subject: Subject, directory: Path, formats: Sequence[str], golden_NCHW: NDArray[np.float32]) -> None:
    """Write programs, parameters, ONNX, labels and golden tensors into an empty folder.

    Args:
        subject: what is exported.
        directory: a staged folder.
        formats: of `json`, `pdmodel` and `onnx`.
        golden_NCHW: preprocessed inputs that the golden outputs are made of.

    Raises:
        CheckFailedError: the formats do not share their parameters.
        PpresnetError: a program could not be written or converted.
        OSError: a file could not be written.
    """
    preprocess = subject.preprocess
    shape = (preprocess.in_channels, preprocess.input_size, preprocess.input_size)
    programs: list[Format] = [format for format in ("json", "pdmodel") if format in formats]
    freeze(subject.model, directory, shape, programs)
    if "onnx" in formats:
        convert(directory)
    (directory / LABELS).write_bytes(("\n".join(subject.classes) + "\n").encode())
    write_golden(directory / GOLDEN, golden_NCHW, subject.logits(golden_NCHW))


def drop_format(directory: Path, format: str) -> None:
    """Remove the program of a format that did not pass from a staged folder; a bundle cannot be without `.pdmodel`."""
    (directory / _PROGRAMS[format]).unlink()


def write_deploy(subject: Subject, directory: Path, parity: Sequence[ParityRow], fusion: Sequence[FusionRow]) -> Deploy:
    """Write `deploy.json` about the files that stand in a staged folder, and return its contents.

    Raises:
        OSError: it could not be written.
    """
    preprocess, progress = subject.preprocess, subject.checkpoint.progress
    manifest = (subject.path / MANIFEST).read_bytes()
    best, step = progress.get("best") or {}, progress.get("step")
    deploy = Deploy(
        name=subject.config.name,
        spec=subject.model.spec.model_dump(mode="json"),
        config=subject.config.model_dump(mode="json"),
        preprocess=preprocess,
        inputs=(
            Port(shape=(-1, preprocess.in_channels, preprocess.input_size, preprocess.input_size), dtype="float32"),
        ),
        outputs=(Port(shape=(-1, len(subject.classes)), dtype="float32"),),
        activation=_ACTIVATIONS[subject.config.train.loss],
        files=list_files(directory),
        producers=_producers(),
        source=Source(
            checkpoint=str(subject.path),
            sha256=hashlib.sha256(manifest).hexdigest(),
            step=step,
            top1=best.get("top1") if best.get("step") == step else None,
        ),
        sites=subject.sites,
        parity=tuple(parity),
        fusion=tuple(fusion),
    )
    (directory / DEPLOY).write_bytes(deploy.dump().encode())
    return deploy


def _producers() -> dict[str, str]:
    found = {"ppresnet": __version__, "python": platform.python_version()}
    for name in _PRODUCERS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
