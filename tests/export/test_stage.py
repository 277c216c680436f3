import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tiny_network

from ppresnet.bundle import JSON, ONNX, PARAMS, PDMODEL, ParityRow, read_bundle
from ppresnet.checkpoint import read
from ppresnet.errors import RequestError
from ppresnet.export.golden import random_inputs
from ppresnet.export.stage import Subject, drop_format, subject_of, write_deploy, write_files
from ppresnet.files import MANIFEST, staged_directory
from ppresnet.paddle_api import has_json

FORMATS = ("json", "pdmodel") if has_json() else ("pdmodel",)
ROW = ParityRow(format="json", runtime="x", batch=1, data="real", rel_diff=0.5, limit=0.1, status="differs")


@pytest.fixture(scope="module")
def step(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_network.save_tiny(tmp_path_factory.mktemp("run"))


@pytest.fixture
def subject(step: Path) -> Subject:
    return subject_of(read(step), step, tiny_network.tiny_config())


def export(subject: Subject, target: Path, dropped: tuple[str, ...] = ()) -> Path:
    with staged_directory(target, replace=True) as staging:
        write_files(subject, staging, FORMATS, random_inputs(4, subject.preprocess))
        for format in dropped:
            drop_format(staging, format)
        write_deploy(subject, staging, [ROW], [])
    return target


def test_the_bundle_says_what_it_was_made_of(subject: Subject, step: Path, tmp_path: Path) -> None:
    bundle = read_bundle(export(subject, tmp_path / "bundle"))
    deploy = bundle.deploy
    assert bundle.labels == tiny_network.CLASSES
    assert bundle.formats == FORMATS
    assert deploy.spec == read(step).spec
    assert deploy.source.step == 7
    assert deploy.source.top1 == 12.5
    assert (deploy.inputs[0].shape, deploy.outputs[0].shape) == ((-1, 1, 8, 8), (-1, 10))
    assert deploy.parity == (ROW,)
    assert len(deploy.sites) == 9
    assert deploy.producers["ppresnet"]
    inputs, outputs = bundle.golden()
    np.testing.assert_array_equal(outputs, subject.logits(inputs))


@pytest.mark.parametrize(("loss", "activation"), [("cross_entropy", "softmax"), ("bce", "sigmoid")])
def test_scores_are_those_of_the_loss(step: Path, tmp_path: Path, loss: str, activation: str) -> None:
    config = tiny_network.tiny_config()
    config = config.model_copy(update={"train": config.train.model_copy(update={"loss": loss})})
    bundle = read_bundle(export(subject_of(read(step), step, config), tmp_path / "bundle"))
    assert bundle.deploy.activation == activation


def test_the_same_checkpoint_gives_the_same_bytes(step: Path, tmp_path: Path) -> None:
    config = tiny_network.tiny_config()
    one, other = (export(subject_of(read(step), step, config), tmp_path / name) for name in "ab")
    names = {path.name for path in one.iterdir()}
    # The programs hold the call stack of every operator, and layer names from a counter of the process.
    for name in names - {JSON, PDMODEL, "deploy.json", MANIFEST}:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert read_bundle(one).deploy.sites == read_bundle(other).deploy.sites


@pytest.mark.skipif(not has_json(), reason="this Paddle writes .pdmodel only")
def test_a_format_can_be_left_out(subject: Subject, tmp_path: Path) -> None:
    bundle = read_bundle(export(subject, tmp_path / "bundle", dropped=("json",)))
    assert bundle.formats == ("pdmodel",)
    assert JSON not in bundle.deploy.files
    assert {PDMODEL, PARAMS} <= bundle.deploy.files.keys()
    assert ONNX not in bundle.deploy.files


@pytest.mark.parametrize("names", [["a\nb", *"123456789"], [*"0123"], ["a\u2028b", *"123456789"]])
def test_class_names_that_no_label_file_can_hold(step: Path, names: list[str]) -> None:
    checkpoint = read(step)
    checkpoint = dataclasses.replace(checkpoint, progress={**checkpoint.progress, "classes": names})
    with pytest.raises(RequestError, match="10 class names of one line"):
        subject_of(checkpoint, step, tiny_network.tiny_config())


def test_a_recipe_of_another_network_is_refused(step: Path) -> None:
    config = tiny_network.tiny_config()
    other = config.model_copy(update={"model": config.model.model_copy(update={"num_classes": 7})})
    with pytest.raises(RequestError, match="7 classes, the checkpoint 1 and 10"):
        subject_of(read(step), step, other)


def test_accuracy_of_another_step_is_not_claimed(step: Path, tmp_path: Path) -> None:
    checkpoint = read(step)
    progress = {**checkpoint.progress, "best": {"step": 3, "top1": 99.0, "loss": 0.1}}
    subject = subject_of(dataclasses.replace(checkpoint, progress=progress), step, tiny_network.tiny_config())
    assert read_bundle(export(subject, tmp_path / "bundle")).deploy.source.top1 is None
