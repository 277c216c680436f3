"""From a checkpoint to an int8 bundle that is as good as was asked for, or to the reason why not."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from deploy.inference import Runtime, Session
from deploy.slim.int8 import proof, staging
from deploy.slim.int8.attempts import Bench, trained
from deploy.slim.int8.search import Onnx, find_onnx, find_program
from deploy.slim.int8.settings import Int8Settings
from deploy.slim.subset import load_subset
from ppresnet import cli, files
from ppresnet.bundle import FileEntry, FusionRow, ParityRow, Quantisation
from ppresnet.checkpoint import read, resolve
from ppresnet.config import RunConfig, from_dict
from ppresnet.export.freeze import freeze
from ppresnet.export.golden import random_inputs, real_inputs
from ppresnet.export.parity import Kind
from ppresnet.export.stage import Subject, subject_of


class QuantizeResult(BaseModel):
    """What became of a quantisation.

    Attributes:
        output: the bundle.
        quantisation: how, what it cost and which layers stayed in float, worst first; also in `deploy.json`.
        fusion: what ran under oneDNN's int8 kernels; `int8` counts the convolutions.
        parity: outputs beside those of the float network.
        files: of the bundle.
        notes: what was left out, and why.
        failures: what did not hold; the bundle lacks it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    output: str
    quantisation: Quantisation
    fusion: FusionRow
    parity: tuple[ParityRow, ...]
    files: Mapping[str, FileEntry]
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


def quantize(
    checkpoint: Path,
    output: Path,
    settings: Int8Settings | None = None,
    config: RunConfig | None = None,
    say: Callable[[str], None] = cli.say,
) -> QuantizeResult:
    """Write the int8 bundle of a checkpoint, in the place of an older one, and return what was found.

    `hardware.start` comes before. Where only `model.onnx` falls short, the bundle is without it and `failures` says so.

    Args:
        checkpoint: a step folder or a run folder.
        output: the bundle.
        settings: how.
        config: the recipe that says where the images are; None takes that of the checkpoint.
        say: is given lines for the user.

    Raises:
        CheckFailedError: the floor does not hold, or int8 kernels did not run; nothing was written.
        RequestError: the checkpoint, its data or a package is missing.
        PpresnetError: a quantiser failed.
    """
    settings = settings or Int8Settings()
    path = resolve(checkpoint)
    files.expect_apart(output, path)
    held = read(path)
    config = config or from_dict(held.config, str(path))
    subject = subject_of(held, path, config)
    images = load_subset(config, "train", settings.calibration).images
    if output.parent.is_dir():
        files.remove_stale_staging(output.parent)
    with files.staged_directory(output, replace=True) as folder, tempfile.TemporaryDirectory() as name:
        bench = _bench(subject, settings, images, Path(name), say)
        if settings.method == "qat":
            say(f"training {settings.epochs} epochs with rounded values")
            subject = trained(subject, settings, bench.work)
            _freeze(subject, bench.source)
        result = _fill(folder, subject, bench, images)
    return result.model_copy(update={"output": str(output)})


def _fill(folder: Path, subject: Subject, bench: Bench, images: NDArray[np.float32]) -> QuantizeResult:
    """Look for integers that are good enough, write what was found, audit it and describe it."""
    made, layers = find_program(bench, subject)
    asked = bench.settings.onnx
    onnx = find_onnx(bench, subject, bench.source, layers) if asked else Onnx(note="no model.onnx: as asked")
    staging.write_files(subject, made, onnx, bench.inputs["real"], folder)
    report = staging.audited(subject, folder)
    found = staging.quantisation(bench, made, onnx, layers, images)
    deploy = staging.describe(subject, made, onnx, found, report, folder)
    return QuantizeResult(
        output=str(folder),
        quantisation=found,
        fusion=report.rows[0],
        parity=deploy.parity,
        files=deploy.files,
        notes=(onnx.note,) if onnx.note else (),
        failures=(onnx.failure,) if onnx.failure else (),
    )


def _bench(
    subject: Subject, settings: Int8Settings, images: NDArray[np.float32], work: Path, say: Callable[[str], None]
) -> Bench:
    """Freeze the float network and measure it."""
    inputs: dict[Kind, NDArray[np.float32]] = {
        "real": real_inputs(4, subject.config, subject.preprocess),
        "random": random_inputs(4, subject.preprocess),
    }
    examination = proof.Examination(subject.config, settings.images)
    _freeze(subject, work / "float")
    np.save(work / "calibration.npy", images, allow_pickle=False)
    before = examination.answers(Session(work / "float", Runtime("onednn", "fp32", "pdmodel")))
    say(f"in float: top-1 {before.top1:.2f} % of {len(before.classes)} images; calibrating on {len(images)} others")
    return Bench(work, settings, examination, before, inputs, say)


def _freeze(subject: Subject, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    preprocess = subject.preprocess
    # Only the old form: PaddleSlim and oneDNN's int8 passes read no other.
    freeze(subject.model, folder, (preprocess.in_channels, preprocess.input_size, preprocess.input_size), ["pdmodel"])
