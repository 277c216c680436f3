"""Whether the doctor sees what would stop a run, and lets a good one pass."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkup import Check
from checkup_machine import device, lite, memory, packages, paddle, python
from checkup_recipe import classes, duration, room
from PIL import Image

from ppresnet.config import from_dict
from ppresnet.data import open_split
from tests.tools.conftest import ROOT, Tool

RECIPE = ROOT / "configs" / "digits" / "resnet20.yaml"


def checked(done: "subprocess.CompletedProcess[str]", path: Path, code: int) -> dict[str, dict[str, Any]]:
    assert done.returncode == code, done.stderr
    return {check["name"]: check for check in json.loads(path.read_text())["checks"]}


def test_a_good_recipe_is_ready(tool: Tool, tmp_path: Path) -> None:
    where = ("--output", tmp_path / "run", "--json", tmp_path / "found.json")
    found = checked(tool("doctor.py", "-c", RECIPE, *where), tmp_path / "found.json", 0)
    assert {check["status"] for check in found.values()} <= {"ok", "warning"}
    wanted = {"recipe", "train images", "train sample", "val images", "val sample", "output", "pace"}
    assert {name for name, check in found.items() if check["status"] == "ok"} >= wanted
    assert "cifar_resnet20, 269,434 parameters" in found["recipe"]["found"]
    assert found["train sample"]["found"] == "64 images decoded"
    assert "images/s" in found["pace"]["found"] and "for 20 epochs" in found["pace"]["found"]


def picture(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images of two classes, one of them broken."""
    for number in range(3):
        picture(tmp_path / "train" / "cat" / f"{number}.png", number)
        picture(tmp_path / "train" / "dog" / f"{number}.png", number)
    (tmp_path / "train" / "dog" / "0.png").write_bytes(b"no image")
    return tmp_path


def test_broken_images_are_named(tool: Tool, folder: Path) -> None:
    data = ["data.format=folder", f"data.root={folder}", "data.train=train", "data.val=train", "model.num_classes=2"]
    colours = ["model.in_channels=3", "data.mean=[0.5,0.5,0.5]", "data.std=[0.5,0.5,0.5]", "train.batch_size=2"]
    where = ("--output", folder / "run", "--json", folder / "found.json")
    done = tool("doctor.py", "-c", RECIPE, "-o", *data, *colours, *where)
    found = checked(done, folder / "found.json", 3)
    assert found["train images"]["status"] == "ok"
    assert found["train sample"]["status"] == "failed"
    assert found["train sample"]["found"] == "1 of 6 images are broken"
    assert "dog/0.png" in found["train sample"]["advice"]
    assert "not ready: train sample" in done.stderr


@pytest.mark.parametrize(
    ("override", "name", "said"),
    [
        ("optim.lrr=1", "recipe", "did you mean 'optim.lr'"),
        ("data.format=folder data.root=/nowhere", "train images", "/nowhere"),
    ],
)
def test_what_is_wrong_is_told(tool: Tool, tmp_path: Path, override: str, name: str, said: str) -> None:
    where = ("--output", tmp_path / "run", "--json", tmp_path / "found.json")
    done = tool("doctor.py", "-c", RECIPE, "-o", *override.split(), *where)
    found = checked(done, tmp_path / "found.json", 3)[name]
    assert found["status"] == "failed" and said in found["found"]
    assert not (tmp_path / "run").exists()


def test_classes_without_images(tmp_path: Path) -> None:
    picture(tmp_path / "0.png", 0)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "val.txt").write_text("0.png 0\n")
    data = from_dict({"data": {"format": "list", "root": str(tmp_path), "val": "val.txt"}}).data
    check = classes("val", open_split(data, "val", in_channels=3, num_classes=2))
    assert check.status == "warning" and check.advice.startswith("no image of dog;")
    assert "0 to 1 images a class" in check.found


def test_the_folder_of_a_run(tmp_path: Path) -> None:
    assert room(tmp_path / "new" / "run", 1).status == "ok"
    assert room(tmp_path / "new" / "run", 2**60).status == "failed"
    (tmp_path / "file").touch()
    assert room(tmp_path / "file" / "run", 1).found == f"{tmp_path / 'file'} is a file"
    (tmp_path / "config.yaml").touch()
    assert "--resume" in room(tmp_path, 1).advice


def test_a_run_takes_as_long_as_its_images() -> None:
    config = from_dict({"train": {"epochs": 6}})
    assert "100 images/s in one process: 1.0 minutes for 6 epochs" in duration(config, 100.0, 1000).found
    growing = from_dict({"train": {"epochs": 6, "start_size": 4, "grow_epochs": 3}})
    assert "at most 1.0 minutes" in duration(growing, 100.0, 1000).found


@pytest.mark.parametrize(
    ("check", "status"),
    [
        (python((3, 9)), "failed"),
        (python((3, 11)), "ok"),
        (python((3, 13)), "failed"),
        (paddle(None), "failed"),
        (paddle("3.3.1"), "ok"),
        (paddle("3.1.0"), "warning"),
        (device("that paddlepaddle-gpu is not installed"), "ok"),
        (memory(1000.0), "warning"),
        (memory(4000.0), "ok"),
        (memory(None), "warning"),
        (packages({"paddleslim": True}), "ok"),
        (packages({"paddleslim": False}), "warning"),
        (lite(Path("python3.7")), "ok"),
        (lite(None), "warning"),
    ],
)
def test_what_a_machine_may_lack(check: Check, status: str) -> None:
    assert check.status == status
    assert check.found and bool(check.advice) == (status != "ok")
