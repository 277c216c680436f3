"""List files: `path label` lines."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppresnet.config.schema import DataConfig
from ppresnet.data import Samples, Source, open_split, preprocess_of
from ppresnet.errors import DataError

Config = Callable[..., DataConfig]
LINES = "train/dog/3.png 2\n\nval/bird/0.png\t0\r\n  my cats/a 1.png   1\n"


@pytest.fixture
def listed(pictures: Path) -> Path:
    (pictures / "my cats").mkdir()
    (pictures / "train/cat/0.png").rename(pictures / "my cats/a 1.png")
    (pictures / "list.txt").write_text(LINES, newline="")
    return pictures


def opened(data: DataConfig, classes: int = 3) -> Source:
    return open_split(data, "train", in_channels=3, num_classes=classes)


def test_images_and_labels(listed: Path, config: Config, place: Callable[[Path], Path]) -> None:
    source = opened(config(format="list", root=place(listed), train="list.txt"))
    names = ["train/dog/3.png", "val/bird/0.png", "my cats/a 1.png"]
    assert [source.name(at) for at in range(3)] == names
    assert source.labels.tolist() == [2, 0, 1]
    assert source.classes == ("0", "1", "2")
    for at, name in enumerate(names):
        assert np.array_equal(source.image(at), np.asarray(Image.open(listed / name)))


def test_list_elsewhere_and_class_names(listed: Path, config: Config, tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "mine.txt").write_text("\ufefftrain/dog/0.png 1\n", encoding="utf-8")
    (lists / "classes.txt").write_text("Katze\nHündchen \n", encoding="utf-8")
    source = opened(config(format="list", root=listed, train=lists / "mine.txt"), classes=2)
    assert source.classes == ("Katze", "Hündchen")
    assert source.name(0) == "train/dog/0.png"
    with pytest.raises(DataError, match=r"expected 3 classes .* found 2: Katze, Hündchen"):
        opened(config(format="list", root=listed, train=lists / "mine.txt"), classes=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train/dog/0.png 3\n", r"line 1: label 3 is outside 0 ... 2"),
        ("\ntrain/dog/0.png -1\n", r"line 2: expected `path label`"),
        ("train/dog/0.png\n", r"line 1: expected `path label`.*found 'train/dog/0.png'"),
        ("train/dog/0.png dog\n", r"expected `path label`"),
        ("train/dog/0.png 1.0\n", r"expected `path label`"),
        ("../secret.png 1\n", r"'../secret.png' leaves data.root"),
        ("/etc/passwd 1\n", r"'/etc/passwd' leaves data.root"),
        ("train/dog/0.png 1\nb.png 1\na.png 1\n", r"names 2 files that are not in .*: b.png, a.png"),
        ("train/dog 1\n", r"names 1 files that are not in"),
        ("\n \n", "lists no images"),
    ],
)
def test_wrong_lists(listed: Path, config: Config, text: str, message: str) -> None:
    (listed / "list.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        opened(config(format="list", root=listed, train="list.txt"))


def test_several_labels_an_image(listed: Path, config: Config) -> None:
    (listed / "list.txt").write_text(
        "train/dog/0.png 2,0\nmy cats/a 1.png -\ntrain/dog/1.png 1\ntrain/dog/2.png 0,1,2\n"
    )
    source = opened(config(format="list", root=listed, train="list.txt", multi_label=True))
    assert source.labels.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]]
    assert source.name(1) == "my cats/a 1.png"
    batch = Samples(source, preprocess_of(config(), 3)).load(0, np.array([2, 0]))
    assert batch.labels.tolist() == [[0, 1, 0], [1, 0, 1]]


@pytest.mark.parametrize(
    ("text", "several", "message"),
    [
        ("train/dog/0.png 0,3\n", True, "line 1: label 3 is outside 0 ... 2"),
        ("train/dog/0.png 0,,1\n", True, "expected `path 0,3,7` or `path -` with whole numbers as labels, found"),
        ("train/dog/0.png 0, 1\n", True, "names 1 files that are not in"),
        ("train/dog/0.png dog\n", True, "expected `path 0,3,7` or `path -`"),
        ("train/dog/0.png 0,1\n", False, "line 1: found 2 labels, '0,1'; expected one, or data.multi_label: true"),
        ("train/dog/0.png -\n", False, "expected `path label`"),
    ],
)
def test_wrong_lists_of_several_labels(listed: Path, config: Config, text: str, several: bool, message: str) -> None:
    (listed / "list.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        opened(config(format="list", root=listed, train="list.txt", multi_label=several))


def test_missing_or_binary_list(listed: Path, config: Config) -> None:
    with pytest.raises(DataError, match=r"data.train: there is no list file 'other.txt'"):
        opened(config(format="list", root=listed, train="other.txt"))
    with pytest.raises(DataError, match="UTF-8"):
        opened(config(format="list", root=listed, train="train/dog/0.png"))
    with pytest.raises(DataError, match=r"data.root is null"):
        opened(config(format="list", train="list.txt"))
