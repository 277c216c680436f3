"""Class folders, in a folder and in a zip."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppresnet.config.schema import DataConfig
from ppresnet.data import Source, open_split
from ppresnet.errors import DataError
from ppresnet.pixels import BrokenImage

Config = Callable[..., DataConfig]
Pack = Callable[[Path], Path]
NAMES = ["bird/0", "bird/1", "bird/2", "cat/0", "cat/1", "dog/0", "dog/1", "dog/2", "dog/3"]


def opened(data: DataConfig, split: str = "train", classes: int = 3) -> Source:
    return open_split(data, split, in_channels=3, num_classes=classes)


@pytest.mark.parametrize("split", ["train", "val"])
def test_images_and_labels(pictures: Path, config: Config, place: Pack, split: str) -> None:
    source = opened(config(format="folder", root=place(pictures)), split)
    assert source.classes == ("bird", "cat", "dog")
    assert source.labels.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]
    assert source.labels.dtype == np.int64
    assert [source.name(at) for at in range(len(source))] == [f"{split}/{name}.png" for name in NAMES]
    for one in (source, pickle.loads(pickle.dumps(source))):  # noqa: S301 - its own bytes
        for at, name in enumerate(NAMES):
            expected = Image.open(pictures / split / f"{name}.png")
            assert np.array_equal(one.image(at), np.asarray(expected))


def test_grey(pictures: Path, config: Config) -> None:
    source = open_split(config(format="folder", root=pictures), "train", in_channels=1, num_classes=3)
    expected = Image.open(pictures / "train/bird/0.png").convert("L")
    assert np.array_equal(source.image(0)[:, :, 0], np.asarray(expected))


def test_other_files_are_counted(pictures: Path, config: Config, pack: Pack) -> None:
    for name in ("notes.txt", "cat/.hidden.png", "cat/thumbs.db", "loose.png", ".cache/x.png"):
        path = pictures / "train" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((pictures / "train/cat/0.png").read_bytes())
    (pictures / "train/cat/linked").symlink_to(pictures / "train/dog")
    for root, others in ((pictures, 6), (pack(pictures), 5)):
        source = opened(config(format="folder", root=root))
        assert len(source) == 9
        assert f"{others} other files ignored" in source.describe()


def test_sub_folders_and_linked_classes(pictures: Path, config: Config, tmp_path: Path) -> None:
    (pictures / "train/cat").rename(tmp_path / "elsewhere")
    (pictures / "train/cat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/old").mkdir()
    (tmp_path / "elsewhere/1.png").rename(tmp_path / "elsewhere/old/1.PNG")
    source = opened(config(format="folder", root=pictures))
    assert [source.name(at) for at in (3, 4)] == ["train/cat/0.png", "train/cat/old/1.PNG"]
    assert source.image(4).shape == (10, 8, 3)


def test_missing_split_names_what_is_there(pictures: Path, config: Config, place: Pack) -> None:
    with pytest.raises(DataError, match=r"no class folders in 'test' \(data.val\); its own folders: train, val"):
        opened(config(format="folder", root=place(pictures), val="test"), "val")


def test_missing_root(config: Config, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.root is null.*'folder' needs"):
        opened(config(format="folder"))
    with pytest.raises(DataError, match="does not exist"):
        opened(config(format="folder", root=tmp_path / "nowhere"))
    (tmp_path / "file.rar").write_bytes(b"x")
    with pytest.raises(DataError, match=r"neither a folder nor a .zip"):
        opened(config(format="folder", root=tmp_path / "file.rar"))


def test_wrong_number_of_classes(pictures: Path, config: Config) -> None:
    message = r"expected 10 classes \(model.num_classes\), found 3: bird, cat, dog; set model.num_classes to 3"
    with pytest.raises(DataError, match=message):
        opened(config(format="folder", root=pictures), classes=10)


def test_splits_with_different_classes(pictures: Path, config: Config) -> None:
    (pictures / "val/cat").rename(pictures / "val/cow")
    for split in ("train", "val"):
        with pytest.raises(DataError, match=r"only in .*: c[ao][tw]; only in .*: c[ao][tw]"):
            opened(config(format="folder", root=pictures), split)


def test_evaluation_without_training_images(pictures: Path, config: Config, tmp_path: Path) -> None:
    (pictures / "train").rename(tmp_path / "away")
    assert len(opened(config(format="folder", root=pictures), "val")) == 9


def test_class_without_images(pictures: Path, config: Config, pack: Pack) -> None:
    for path in (pictures / "train/cat").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="no images in class folders cat;"):
        opened(config(format="folder", root=pictures))
    (pictures / "train/cat/a.txt").write_text("no image")
    with pytest.raises(DataError, match="no images in class folders cat;"):
        opened(config(format="folder", root=pack(pictures)))


def test_damaged_zip(pictures: Path, config: Config, pack: Pack) -> None:
    path = pack(pictures)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"pictures.zip"):
        opened(config(format="folder", root=path))


def test_damaged_member_is_one_broken_image(pictures: Path, config: Config, pack: Pack) -> None:
    path = pack(pictures)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("train/cat/1.png")
    data = bytearray(path.read_bytes())
    data[info.header_offset + 60 : info.header_offset + 64] = b"\0\xff\0\xff"
    path.write_bytes(data)
    source = opened(config(format="folder", root=path))
    with pytest.raises(BrokenImage, match=r"train/cat/1.png"):
        source.image(4)
    assert source.image(3).shape == (10, 8, 3)


def test_vanished_zip_is_an_error_of_the_disk(pictures: Path, config: Config, pack: Pack) -> None:
    path = pack(pictures)
    stored = pickle.dumps(opened(config(format="folder", root=path)))
    path.unlink()
    with pytest.raises(FileNotFoundError):
        pickle.loads(stored).image(0)  # noqa: S301 - its own bytes


def test_vanished_file_is_an_error_of_the_disk(pictures: Path, config: Config) -> None:
    source = opened(config(format="folder", root=pictures))
    (pictures / "train/bird/0.png").unlink()
    with pytest.raises(FileNotFoundError):
        source.image(0)


def test_what_may_never_end_is_one_broken_image(pictures: Path, config: Config) -> None:
    for number, make in enumerate((lambda path: path.symlink_to("/dev/zero"), os.mkfifo)):
        (pictures / f"train/bird/{number}.png").unlink()
        make(pictures / f"train/bird/{number}.png")
    source = opened(config(format="folder", root=pictures))
    for index in (0, 1):
        with pytest.raises(BrokenImage, match="expected a regular file"):
            source.image(index)
    assert source.image(2).shape == (10, 8, 3)


@pytest.mark.parametrize("closed", ["train", "train/cat", "train/cat/old"])
def test_a_folder_that_cannot_be_listed_is_not_passed_over(
    pictures: Path, config: Config, closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pictures / "train/cat/old").mkdir()
    real = os.scandir

    def scandir(path: Path | str) -> object:
        if Path(path) == pictures / closed:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=rf"{closed}' cannot be listed: Permission denied"):
        opened(config(format="folder", root=pictures))
