"""Attempts until one holds the floor: first the program, then, from where that ended, the ONNX file."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deploy.slim.int8.attempts import Attempt, Bench
from deploy.slim.int8.floor import hold_floor
from deploy.slim.int8.layers import layer_errors, layers_of, roundings
from ppresnet.bundle import LayerError
from ppresnet.errors import PpresnetError
from ppresnet.export.onnx import can_convert, convert
from ppresnet.export.stage import Subject

MEASURED_IMAGES, MEASURED_BATCH = 64, 16
_FLOOR = "the floor did not hold with it in int8"
_LEFT_OUT = "PaddleSlim left it out"


@dataclass(frozen=True, eq=False)
class Onnx:
    """An int8 ONNX file and the layers it keeps in float, or why there is none.

    Attributes:
        attempt: None where there is none.
        kept: names of the layers in float.
        note: why none was tried.
        failure: why none was good enough.
    """

    attempt: Attempt | None = None
    kept: tuple[str, ...] = ()
    note: str = ""
    failure: str = ""


def find_program(bench: Bench, subject: Subject) -> tuple[Attempt, tuple[LayerError, ...]]:
    """Return a program that holds the floor, and what int8 does to each layer, worst first.

    Raises:
        CheckFailedError: none holds it.
        PpresnetError: PaddleSlim failed.
    """
    measured: list[LayerError] = []

    def ranking(first: Attempt) -> Sequence[str]:
        measured.extend(_errors(bench, subject, first.path))
        return [row.name for row in measured if row.int8]

    made, kept = hold_floor(
        lambda names: bench.program(subject, names), lambda it: it.problem, ranking, _most(bench, subject)
    )
    found = roundings(made.path)
    rows = measured or _errors(bench, subject, made.path)
    return made, tuple(_row(row, row.parameter in found, _FLOOR if row.name in kept else "") for row in rows)


def find_onnx(bench: Bench, subject: Subject, folder: Path, layers: Sequence[LayerError]) -> Onnx:
    """Return an ONNX file that holds the floor, or why there is none.

    Args:
        bench: what attempts are made with.
        subject: the network in float.
        folder: holds its frozen program; gets its float ONNX.
        layers: from `find_program`; what is in float there begins in float here.
    """
    if not can_convert() or importlib.util.find_spec("onnxruntime") is None:
        return Onnx(note="no model.onnx: paddle2onnx, onnx and onnxruntime are not all installed")
    source = folder / "model.onnx"
    kept = [row.name for row in layers if row.reason == _FLOOR]
    worst = [row.name for row in layers if row.error is not None]
    most = max(_most(bench, subject), len(kept))
    try:
        convert(folder)
        made, float_layers = hold_floor(
            lambda names: bench.onnx(subject, source, names), lambda it: it.problem, lambda _: worst, most, kept
        )
    except PpresnetError as error:
        return Onnx(failure=f"no model.onnx: {error}")
    return Onnx(made, float_layers)


def _most(bench: Bench, subject: Subject) -> int:
    return int(bench.settings.most_float * len(layers_of(subject.model)))


def _errors(bench: Bench, subject: Subject, program: Path) -> tuple[LayerError, ...]:
    images = np.load(bench.calibration, allow_pickle=False)[:MEASURED_IMAGES]
    batches = [images[start : start + MEASURED_BATCH] for start in range(0, len(images), MEASURED_BATCH)]
    return layer_errors(subject.model, roundings(program), batches)


def _row(row: LayerError, int8: bool, reason: str) -> LayerError:
    return row.model_copy(update={"int8": int8, "reason": "" if int8 else reason or row.reason or _LEFT_OUT})
