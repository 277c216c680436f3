"""What an int8 program is worth: its classes on the evaluation split, and its outputs beside those of the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy.inference import Runtime, Session
from deploy.inference.predictor import GOLDEN_LIMITS
from deploy.slim.subset import tell_broken
from ppresnet.bundle import ParityRow
from ppresnet.config import RunConfig
from ppresnet.data import BrokenReport, Samples, open_split, preprocess_of
from ppresnet.errors import DataError, RequestError
from ppresnet.export.parity import Candidate, Kind, Runner, check_parity

INT8 = Runtime("onednn", "int8", "pdmodel")
# No range was measured for noise: a sound ResNet-50 is 0.8 to 1.0 off on it. There only what cannot be an answer fails.
LIMITS: dict[Kind, float] = {"real": GOLDEN_LIMITS["int8"], "random": 10.0}


@dataclass(frozen=True, eq=False)
class Answers:
    """The class that each image was given, int64 [n], and the percent that are right."""

    classes: NDArray[np.int64]
    top1: float

    def agreement(self, others: Answers) -> float:
        """Return the percent of images that both give the same class."""
        return 100.0 * float(np.mean(self.classes == others.classes))


class Examination:
    """Images of the evaluation split with their labels, loaded anew each time, so that any number of them fits.

    Args:
        config: the recipe.
        most: how many images at most, spread over the split; None for all.

    Raises:
        DataError: the split cannot be opened.
        RequestError: an image has several labels.
    """

    def __init__(self, config: RunConfig, most: int | None) -> None:
        if config.data.multi_label:
            raise RequestError(
                "the accuracy floor is in points of top-1: expected one label an image, found data.multi_label: true; "
                "such networks are not quantised here, so use the bundle in float or bf16"
            )
        channels, classes = config.model.in_channels, config.model.num_classes
        source = open_split(config.data, "val", in_channels=channels, num_classes=classes)
        count = len(source) if most is None else min(most, len(source))
        self.indices = np.linspace(0, len(source) - 1, count).astype(np.int64)
        self._samples = Samples(source, preprocess_of(config.data, channels))
        self._batch = config.train.batch_size
        self._broken = BrokenReport(config.data.max_broken, len(source))

    def answers(self, runner: Runner) -> Answers:
        """Return what a runner makes of the readable images.

        Raises:
            DataError: none can be read, or more are broken than `data.max_broken` tolerates.
        """
        classes: list[NDArray[np.int64]] = []
        right = 0
        for images, labels in self._batches():
            given = np.asarray(runner(images)).argmax(1)
            right += int((given == labels).sum())
            classes.append(given)
        if not classes:
            raise DataError(f"none of {len(self.indices)} evaluation images is readable; check data.root and data.val")
        every = np.concatenate(classes)
        return Answers(every, 100.0 * right / len(every))

    def _batches(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        for start in range(0, len(self.indices), self._batch):
            batch = self._samples.load(0, self.indices[start : start + self._batch])
            tell_broken(self._broken, batch.broken)
            if len(batch.labels):
                yield batch.images, batch.labels


def open_onnx(path: Path) -> Runner:
    """Return an ONNX file under ONNX Runtime's CPU kernels."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images_NCHW: np.asarray(session.run(None, {name: images_NCHW})[0])


def program_rows(reference: Runner, folder: Path, inputs: dict[Kind, NDArray[np.float32]]) -> tuple[ParityRow, ...]:
    """Compare a quantised program under oneDNN's int8 kernels with the network."""
    return _rows(reference, Candidate("pdmodel", "paddle onednn int8", lambda: Session(folder, INT8)), inputs)


def onnx_rows(reference: Runner, path: Path, inputs: dict[Kind, NDArray[np.float32]]) -> tuple[ParityRow, ...]:
    """Compare a quantised ONNX file under ONNX Runtime with the network."""
    return _rows(reference, Candidate("onnx", "onnxruntime int8", lambda: open_onnx(path)), inputs)


def shortfall(before: Answers, after: Answers, floor: float, rows: Sequence[ParityRow]) -> str:
    """Return why an int8 network is not good enough, or '' when it is.

    Args:
        before: of the network in float.
        after: of the network in int8.
        floor: points of top-1 that may be lost.
        rows: the comparisons of their outputs.
    """
    # What is printed with two digits decides, not the last bit of a division.
    if (lost := before.top1 - after.top1) > floor + 1e-9:
        return f"top-1 fell by {lost:.2f} points, from {before.top1:.2f} to {after.top1:.2f} %; allowed are {floor:g}"
    bad = [row for row in rows if row.status != "ok"]
    return f"{bad[0].data} batch of {bad[0].batch} under {bad[0].runtime}: {bad[0].status}" if bad else ""


def _rows(reference: Runner, candidate: Candidate, inputs: dict[Kind, NDArray[np.float32]]) -> tuple[ParityRow, ...]:
    return tuple(
        row
        for kind, images in inputs.items()
        for row in check_parity(reference, [candidate], {kind: images}, LIMITS[kind])
    )
