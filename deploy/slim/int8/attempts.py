"""One try at int8: a program from PaddleSlim, or an ONNX file from ONNX Runtime, with what it is worth."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from deploy.inference import Session
from deploy.inference.program import read_graph
from deploy.slim.int8 import proof
from deploy.slim.int8.layers import kernels_of, refused, values_to_skip
from deploy.slim.int8.process import ask
from deploy.slim.int8.ranges import widen
from deploy.slim.int8.settings import Int8Settings
from ppresnet.bundle import PDMODEL, ParityRow
from ppresnet.checkpoint.state import weights_of
from ppresnet.export.parity import Kind
from ppresnet.export.stage import Subject, subject_of

BATCH = 32
Inputs = dict[Kind, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Attempt:
    """A quantised program or ONNX file, its answers, and what is wrong with it.

    Attributes:
        path: folder of the program, or the ONNX file.
        answers: None where the comparison of outputs failed already.
        rows: the comparisons with the network's outputs.
        problem: empty where it is good enough.
    """

    path: Path
    answers: proof.Answers | None
    rows: tuple[ParityRow, ...]
    problem: str


@dataclass(frozen=True, eq=False)
class Bench:
    """All that attempts are made with.

    Attributes:
        work: folder for what is made on the way; holds the float program and `calibration.npy`.
        settings: what was asked for.
        examination: the labelled images.
        before: what the checkpoint's network makes of them.
        inputs: images to compare outputs on.
        say: is given lines for the user.
    """

    work: Path
    settings: Int8Settings
    examination: proof.Examination
    before: proof.Answers
    inputs: Inputs
    say: Callable[[str], None]

    @property
    def source(self) -> Path:
        """Folder of the float program."""
        return self.work / "float"

    @property
    def calibration(self) -> Path:
        """The calibration images, npy."""
        return self.work / "calibration.npy"

    def program(self, subject: Subject, kept: tuple[str, ...]) -> Attempt:
        """Quantise the program, but for the layers named in `kept`, and measure it.

        Raises:
            PpresnetError: PaddleSlim failed.
        """
        target = self.work / "program"
        shutil.rmtree(target, ignore_errors=True)
        float_layers = (*kept, *refused(subject.model))
        ask("ptq_worker", self._ptq(subject, float_layers, target), self.settings.timeout)
        widen(target)
        rows = proof.program_rows(subject.logits, target, self.inputs)
        return self._judged(target, rows, kept)

    def onnx(self, subject: Subject, source: Path, kept: tuple[str, ...]) -> Attempt:
        """Quantise a float ONNX file, but for the layers named in `kept`, and measure it.

        Raises:
            PpresnetError: ONNX Runtime failed.
        """
        target = self.work / "int8.onnx"
        request = {
            "source": str(source),
            "target": str(target),
            "images": str(self.calibration),
            "batch": BATCH,
            "skip": kernels_of(subject.model, kept),
        }
        ask("onnx_worker", request, self.settings.timeout)
        return self._judged(target, proof.onnx_rows(subject.logits, target, self.inputs), kept)

    def _judged(self, path: Path, rows: tuple[ParityRow, ...], kept: tuple[str, ...]) -> Attempt:
        broken = next((row.status for row in rows if row.rel_diff is None), "")
        answers = None if broken else self._answers(path)
        problem = broken if answers is None else proof.shortfall(self.before, answers, self.settings.floor, rows)
        worth = "not measured" if answers is None else f"top-1 {answers.top1:.2f} %"
        self.say(f"{path.name}, {len(kept)} layers kept in float: {worth}{'; ' if problem else ''}{problem}")
        return Attempt(path, answers, rows, problem)

    def _answers(self, path: Path) -> proof.Answers:
        return self.examination.answers(Session(path, proof.INT8) if path.is_dir() else proof.open_onnx(path))

    def _ptq(self, subject: Subject, float_layers: tuple[str, ...], target: Path) -> dict[str, object]:
        skip = (*kernels_of(subject.model, float_layers), *values_to_skip(read_graph(self.source / PDMODEL)))
        return {
            "source": str(self.source),
            "target": str(target),
            "images": str(self.calibration),
            "batch": BATCH,
            "algorithm": self.settings.algorithm,
            "skip": skip,
        }


def trained(subject: Subject, settings: Int8Settings, work: Path) -> Subject:
    """Return the network after a training in which PaddleSlim rounds what will be int8.

    Raises:
        RequestError: PaddleSlim is not installed.
        PpresnetError: it failed.
    """
    start, end = work / "start.safetensors", work / "trained.safetensors"
    save_file({name: np.ascontiguousarray(each) for name, each in weights_of(subject.model).items()}, start)
    request = {
        "spec": subject.model.spec.model_dump(mode="json"),
        "config": subject.config.model_dump(mode="json"),
        "weights": str(start),
        "target": str(end),
        "epochs": settings.epochs,
        "lr": settings.lr,
        "skip": tuple(refused(subject.model)),
    }
    ask("qat_worker", request, settings.timeout)
    learnt = replace(subject.checkpoint, weights=load_file(end), ema={})
    return subject_of(learnt, subject.path, subject.config)
