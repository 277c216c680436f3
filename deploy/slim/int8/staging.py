"""How an int8 network becomes a bundle: its files, what ran of it, and `deploy.json`."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.inference.audit import AuditReport, audit_int8
from deploy.slim.int8.attempts import Attempt, Bench
from deploy.slim.int8.layers import layers_of, roundings
from deploy.slim.int8.search import Onnx
from ppresnet.bundle import DEPLOY, GOLDEN, LABELS, ONNX, PARAMS, PDMODEL, Calibration, Deploy, LayerError, Quantisation
from ppresnet.errors import CheckFailedError
from ppresnet.export.golden import write_golden
from ppresnet.export.stage import Subject, write_deploy

_PRODUCERS = ("paddleslim", "onnxruntime")


def write_files(subject: Subject, made: Attempt, onnx: Onnx, golden_NCHW: NDArray[np.float32], staging: Path) -> None:
    """Write everything but `deploy.json` into an empty folder; golden outputs are those of the network in float.

    Raises:
        OSError: a file could not be written.
    """
    for name in (PDMODEL, PARAMS):
        shutil.copyfile(made.path / name, staging / name)
    if onnx.attempt is not None:
        shutil.copyfile(onnx.attempt.path, staging / ONNX)
    (staging / LABELS).write_bytes(("\n".join(subject.classes) + "\n").encode())
    write_golden(staging / GOLDEN, golden_NCHW, subject.logits(golden_NCHW))


def audited(subject: Subject, staging: Path) -> AuditReport:
    """Return what ran of a staged int8 program under oneDNN.

    Raises:
        CheckFailedError: a convolution that the program rounds did not run with an int8 kernel, or none did.
    """
    preprocess = subject.preprocess
    report = audit_int8(
        staging, subject.sites, (1, preprocess.in_channels, preprocess.input_size, preprocess.input_size)
    )
    (graph,) = report.graphs.values()
    ran = {name for op in graph.live if op.int8 and op.filter is not None for name in graph.sources(op.filter)}
    convs = {layer.weight.name: name for name, layer in layers_of(subject.model).items() if layer.weight.ndim == 4}
    if idle := sorted(convs[name] for name in roundings(staging) if name in convs and name not in ran):
        raise CheckFailedError(
            f"{len(idle)} convolutions are quantised and ran in float, the first: {idle[0]}; report this network"
        )
    return report


def quantisation(
    bench: Bench, made: Attempt, onnx: Onnx, layers: Sequence[LayerError], images_NCHW: NDArray[np.float32]
) -> Quantisation:
    """Return what `deploy.json` is to say of an int8 network; `images_NCHW` are those of the calibration."""
    settings, answers = bench.settings, made.answers
    if answers is None:
        raise ValueError("an attempt without answers is not good enough")
    data = np.ascontiguousarray(images_NCHW, "<f4").tobytes()
    return Quantisation(
        method=settings.method,
        calibration=Calibration(
            images=len(images_NCHW), sha256=hashlib.sha256(data).hexdigest(), algorithm=settings.algorithm
        ),
        floor=settings.floor,
        images=len(answers.classes),
        top1_float=bench.before.top1,
        top1_int8=answers.top1,
        top1_agreement=answers.agreement(bench.before),
        top1_onnx=onnx.attempt.answers.top1 if onnx.attempt is not None and onnx.attempt.answers is not None else None,
        onnx_float_layers=onnx.kept,
        layers=tuple(layers),
    )


def describe(
    subject: Subject, made: Attempt, onnx: Onnx, found: Quantisation, report: AuditReport, staging: Path
) -> Deploy:
    """Write `deploy.json` about the files that stand in a staged folder, and return its contents.

    Raises:
        OSError: it could not be written.
    """
    rows = (*made.rows, *(onnx.attempt.rows if onnx.attempt is not None else ()))
    deploy = write_deploy(subject, staging, rows, report.rows)
    more = {name: importlib.metadata.version(name) for name in _PRODUCERS if importlib.util.find_spec(name)}
    deploy = deploy.model_copy(update={"quantisation": found, "producers": {**deploy.producers, **more}})
    (staging / DEPLOY).write_bytes(deploy.dump().encode())
    return deploy
