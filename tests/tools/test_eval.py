"""Views, calibration and several labels from the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from machine import MACHINE
from PIL import Image
from striped_lists import striped_lists

from ppresnet.checkpoint import read, resolve
from ppresnet.checkpoint.state import model_of
from ppresnet.config import from_dict
from ppresnet.train.evaluate import evaluate_split
from ppresnet.train.metrics import Evaluation
from ppresnet.train.run import train
from tests.tools.conftest import Tool


def evaluated(tool: Tool, run: Path, folder: Path, *arguments: object) -> dict[str, Any]:
    done = tool("eval.py", "--checkpoint", run, "--json", folder / "eval.json", *arguments)
    assert done.returncode == 0, done.stderr
    return {**json.loads((folder / "eval.json").read_text()), "printed": done.stdout}


def test_views_and_calibration_are_told(tool: Tool, digits_run: Path, tmp_path: Path) -> None:
    picture = tmp_path / "reliability.png"
    found = evaluated(tool, digits_run, tmp_path, "--tta", "flip", "--reliability", picture)
    checkpoint = read(resolve(digits_run))
    wanted = evaluate_split(model_of(checkpoint), from_dict(checkpoint.config), "flip")
    assert isinstance(wanted, Evaluation)
    assert (found["top1"], found["tta"]) == (wanted.top1, "flip")
    assert found["ece"] == pytest.approx(wanted.calibration.ece, rel=1e-3)
    assert [row["images"] for row in found["calibration"]] == wanted.calibration.images.tolist()
    assert f"ECE {found['ece']:.2f} %" in found["printed"]
    with Image.open(picture) as image:
        assert image.format == "PNG"


@pytest.fixture(scope="module")
def striped_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    short = {"epochs": 3, "batch_size": 16, "loss": "bce"}
    values = {"model": {"num_classes": 2}, "data": striped_lists(folder / "data"), "train": short}
    train(from_dict({**values, "log": {"visualdl": False}}), folder / "run", MACHINE, report=lambda _: None)
    return folder / "run"


def test_several_labels_are_evaluated_by_map(tool: Tool, striped_run: Path, tmp_path: Path) -> None:
    found = evaluated(tool, striped_run, tmp_path, "--threshold", "0.2")
    assert found["map"] > 90.0 and f"mAP {found['map']:.2f} %" in found["printed"]
    assert [row["class"] for row in found["per_class"]] == ["horizontal", "vertical"]
    assert found["map"] == pytest.approx(np.mean([row["ap"] for row in found["per_class"]]))
    assert (found["threshold"], found["images"]) == (0.2, 32)
    assert 0 < found["overall"]["recall"] <= 100
    assert "ece" not in found and "confusion" not in found


def test_the_classes_of_a_picture_do_not_share_its_score(tool: Tool, striped_run: Path, tmp_path: Path) -> None:
    picture = striped_run.parent / "data" / "val" / "003.png"  # both
    done = tool("infer.py", "--model", striped_run, "--input", picture, "--json", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "r.json").read_text())["results"]
    assert sum(row["scores"]) > 1.2


def test_a_bundle_scores_as_its_checkpoint_does(tool: Tool, striped_run: Path, tmp_path: Path) -> None:
    bundle, pictures = tmp_path / "bundle", striped_run.parent / "data" / "val"
    done = tool("export.py", "--checkpoint", striped_run, "--output", bundle, "--formats", "pdmodel")
    assert done.returncode == 0, done.stderr
    found = []
    for model in (striped_run, bundle):
        done = tool("infer.py", "--model", model, "--input", pictures, "--json", tmp_path / "r.json")
        assert done.returncode == 0, done.stderr
        results = json.loads((tmp_path / "r.json").read_text())["results"]
        found.append([dict(zip(row["labels"], row["scores"], strict=True)) for row in results])
    assert len(found[0]) == 32
    for one, other in zip(*found, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    done = tool("benchmark.py", "--model", bundle, "--data")
    assert done.returncode == 2
    assert "--data measures top-1 of one label an image, and data.multi_label is true; leave it out" in done.stderr


@pytest.mark.parametrize(
    ("run", "flags", "problem"),
    [
        ("digits_run", ("--threshold", "0.5"), "--threshold is for several labels an image"),
        ("striped_run", ("--picture", "x.png"), "--picture is for one label an image"),
        ("striped_run", ("--reliability", "x.png"), "--reliability is for one label an image"),
        ("digits_run", ("--threshold", "1.5"), "expected a number between 0 and 1, found 1.5"),
    ],
)
def test_flags_that_do_not_fit(
    tool: Tool, run: str, flags: tuple[str, ...], problem: str, request: pytest.FixtureRequest
) -> None:
    done = tool("eval.py", "--checkpoint", request.getfixturevalue(run), *flags)
    assert done.returncode == 2
    assert problem in done.stderr
