"""Classification of whatever stands in a folder, with names or without."""

import dataclasses
import os
from pathlib import Path

import infer
import numpy as np
import pytest
import tiny_network
from PIL import Image

from ppresnet import cli
from ppresnet.checkpoint import Store


@pytest.fixture(scope="module")
def nameless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as tools/convert.py writes it where there are no images."""
    checkpoint = tiny_network.tiny_checkpoint()
    without = dataclasses.replace(checkpoint, progress={**checkpoint.progress, "classes": []})
    return Store(tmp_path_factory.mktemp("nameless")).save(without, 7)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "input" / "b.png"
    path.parent.mkdir()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(path)
    return path


def found_in(model: Path, images: Path, *more: str) -> dict[str, list[dict[str, object]]]:
    found = infer.main(infer.parse(["--model", str(model), "--input", str(images), *more]))
    assert isinstance(found, dict)
    return found


def test_classes_without_names_are_numbered(nameless: Path, picture: Path) -> None:
    (row,) = found_in(nameless, picture, "--top", "10")["results"]
    assert sorted(row["labels"]) == list("0123456789")


def test_what_cannot_be_read_is_reported_and_the_others_are_classified(nameless: Path, picture: Path) -> None:
    folder = picture.parent
    (folder / "a.jpg").symlink_to(folder / "gone")
    (folder / "c.jpg").mkdir()
    os.mkfifo(folder / "d.jpg")
    (folder / "e.jpg").symlink_to("/dev/zero")
    found = found_in(nameless, folder)
    assert [row["file"] for row in found["results"]] == [str(picture)]
    assert [Path(str(row["file"])).name for row in found["broken"]] == ["a.jpg", "c.jpg", "d.jpg", "e.jpg"]


@pytest.mark.parametrize("option", ["--batch-size", "--top"])
@pytest.mark.parametrize("value", ["0", "-1"])
def test_counts_start_at_one(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run(infer.main, infer.parse(["--model", "m", "--input", "i", option, value]))
    assert ended.value.code == 2
    assert "expected a number from 1 on" in capsys.readouterr().err
