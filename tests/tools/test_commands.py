"""What the commands print, return and write."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.tools.conftest import Tool

RECIPE = "configs/digits/resnet20.yaml"


def test_evaluation_agrees_with_the_run(tool: Tool, digits_run: Path, tmp_path: Path) -> None:
    picture = tmp_path / "confusion.png"
    done = tool("eval.py", "--checkpoint", digits_run, "--json", tmp_path / "eval.json", "--picture", picture)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "eval.json").read_text())
    trained = json.loads((digits_run / "result.json").read_text())
    assert (found["top1"], found["loss"], found["checkpoint"]) == (
        trained["top1"],
        trained["loss"],
        trained["checkpoint"],
    )
    assert np.sum(found["confusion"]) == found["images"] == sum(row["images"] for row in found["per_class"])
    assert np.trace(found["confusion"]) == pytest.approx(found["images"] * found["top1"] / 100)
    assert found["top1"] <= found["top5"] <= 100
    with Image.open(picture) as image:
        assert image.format == "PNG"
    assert f"top-1 {found['top1']:.2f} %" in done.stdout


def test_evaluation_takes_overrides(tool: Tool, digits_run: Path, tmp_path: Path) -> None:
    done = tool("eval.py", "--checkpoint", digits_run, "-o", "data.val=train", "--json", tmp_path / "eval.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "eval.json").read_text())["images"] > 1000


def test_pictures_are_classified(tool: Tool, digits_run: Path, tmp_path: Path) -> None:
    digits = load_digits()
    for index in range(12):
        scan = np.round(digits.images[index] * 255 / 16).astype(np.uint8)
        Image.fromarray(scan).save(tmp_path / f"{index:02}-{digits.target[index]}.png")
    (tmp_path / "99-broken.png").write_bytes(b"not a picture")
    done = tool("infer.py", "--model", digits_run, "--input", tmp_path, "--top", 3, "--json", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "r.json").read_text())
    assert [Path(row["file"]).name[:2] for row in found["results"]] == [f"{index:02}" for index in range(12)]
    right = sum(Path(row["file"]).stem[3:] == row["labels"][0] for row in found["results"])
    assert right >= 8
    assert all(
        len(row["labels"]) == 3 and row["scores"] == sorted(row["scores"], reverse=True) for row in found["results"]
    )
    assert [Path(item["file"]).name for item in found["broken"]] == ["99-broken.png"]
    assert "99-broken.png" in done.stderr


def test_zoo_is_listed_and_filtered(tool: Tool, tmp_path: Path) -> None:
    done = tool("zoo.py", "--filter", "resnext", "--json", tmp_path / "zoo.json")
    rows = json.loads((tmp_path / "zoo.json").read_text())
    assert {"resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"} <= {row["name"] for row in rows}
    assert all("resnext" in row["name"] for row in rows)
    assert next(row for row in rows if row["name"] == "resnext50_32x4d") == {
        "name": "resnext50_32x4d",
        "family": "resnet",
        "input_size": 224,
        "params": 25_028_904,
        "macs": 4_230_479_872,
        "paper": "arXiv:1611.05431",
        "published": [{"top1": 77.618, "data": "ImageNet", "source": "torchvision, IMAGENET1K_V1"}],
    }
    assert "25,028,904" in done.stdout
    none = tool("zoo.py", "--filter", "inception", "--json", tmp_path / "none.json")
    assert (none.returncode, json.loads((tmp_path / "none.json").read_text())) == (0, [])


def test_the_resolved_recipe_trains_the_same_network(tool: Tool, tmp_path: Path) -> None:
    done = tool("train.py", "-c", RECIPE, "-o", "optim.lr=0.05", "--print-config")
    assert done.returncode == 0, done.stderr
    (tmp_path / "resolved.yaml").write_text(done.stdout)
    again = tool("train.py", "-c", tmp_path / "resolved.yaml", "--print-config")
    assert again.stdout == done.stdout
    assert "lr: 0.05" in done.stdout


BAD = [
    (("train.py", "-c", RECIPE, "-o", "optim.lrr=0.1"), "did you mean 'optim.lr'?"),
    (("train.py", "-c", RECIPE, "-o", "train.epochs=many"), "train.epochs"),
    (("train.py", "-c", "configs/digits/resnet21.yaml"), "resnet21.yaml"),
    (("train.py", "-c", RECIPE, "-o", "data.format=folder", "-o", "data.root=nowhere"), "nowhere"),
    (("train.py", "-c", RECIPE, "-o", "model.num_classes=12"), "12"),
    (("train.py", "-c", RECIPE, "-o", "init_from=nowhere"), "no checkpoint at nowhere"),
    (("train.py", "-c", RECIPE, "--cpu-processes", "none"), "expected auto or a number from 1 on"),
    (("eval.py", "--checkpoint", "nowhere"), "no checkpoint at nowhere"),
    (("infer.py", "--model", "nowhere", "--input", RECIPE), "nowhere"),
]


@pytest.mark.parametrize(("command", "named"), BAD, ids=[" ".join(command[-2:]) for command, _ in BAD])
def test_a_wrong_request_ends_with_2_and_one_message(
    command: tuple[str, ...], named: str, tool: Tool, tmp_path: Path
) -> None:
    where = ("--output", tmp_path / "run") if command[0] == "train.py" else ()
    done = tool(*command, *where)
    assert done.returncode == 2, done.stderr
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_debug_shows_the_traceback(tool: Tool) -> None:
    done = tool("eval.py", "--checkpoint", "nowhere", "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_an_unreadable_picture_ends_with_2(tool: Tool, digits_run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nbut then nothing")
    done = tool("infer.py", "--model", digits_run, "--input", tmp_path / "a.png")
    assert done.returncode == 2
    assert "a.png" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_a_damaged_checkpoint_ends_with_2(damage: str, tool: Tool, digits_run: Path, tmp_path: Path) -> None:
    step = sorted((digits_run / "checkpoints").glob("step-*"))[-1]
    copy = tmp_path / step.name
    copy.mkdir()
    for file in step.iterdir():
        data = bytearray(file.read_bytes())
        if file.name == "weights.safetensors":
            data = data[: len(data) // 2] if damage == "truncated" else data[:-1] + bytes([data[-1] ^ 1])
        (copy / file.name).write_bytes(data)
    done = tool("eval.py", "--checkpoint", copy)
    assert done.returncode == 2
    assert "weights.safetensors" in done.stderr
    assert "Traceback" not in done.stderr
