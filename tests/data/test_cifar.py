"""CIFAR's binary files, made here record by record."""

import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ppresnet.config.schema import DataConfig
from ppresnet.data import Source, open_split
from ppresnet.errors import DataError

Config = Callable[..., DataConfig]
BATCHES = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]


def write_file(path: Path, count: int, classes: int, seed: int, prefix: bytes = b"") -> tuple[np.ndarray, np.ndarray]:
    """Writes records as the format's page describes them: label, red plane, green plane, blue plane, row by row."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, classes, count)
    with path.open("wb") as file:
        for image, label in zip(images, labels, strict=True):
            file.write(prefix + bytes([label]))
            for plane in range(3):
                file.write(image[:, :, plane].tobytes())
    return images, labels


@pytest.fixture
def cifar10(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    made = [write_file(folder / name, 4 + at, 10, at) for at, name in enumerate(BATCHES)]
    return folder, np.concatenate([images for images, _ in made]), np.concatenate([labels for _, labels in made])


def tarred(folder: Path) -> Path:
    with tarfile.open(folder.parent / "cifar.tar.gz", "w:gz") as archive:
        archive.add(folder, folder.name)
    return folder.parent / "cifar.tar.gz"


def zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder.parent / "cifar.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, f"{folder.name}/{path.name}")
    return folder.parent / "cifar.zip"


def opened(data: DataConfig, split: str = "train", classes: int = 10) -> Source:
    return open_split(data, split, in_channels=3, num_classes=classes)


@pytest.mark.parametrize(
    "place", [lambda folder: folder, lambda folder: folder.parent, zipped, tarred], ids=["in", "above", "zip", "tar"]
)
def test_cifar10(cifar10: tuple[Path, np.ndarray, np.ndarray], config: Config, place: Callable[[Path], Path]) -> None:
    folder, images, labels = cifar10
    root = place(folder)
    for split, wanted in (("train", slice(0, 30)), ("val", slice(30, 39))):
        source = opened(config(format="cifar10", root=root, val="test"), split)
        assert source.labels.tolist() == labels[wanted].tolist()
        assert len(source) == len(labels[wanted])
        assert source.classes[3] == "cat"
        for one in (source, pickle.loads(pickle.dumps(source))):  # noqa: S301 - its own bytes
            assert np.array_equal([one.image(at) for at in range(len(one))], images[wanted])
    assert len(pickle.dumps(source)) < 3000


def test_names_in_the_folder_win(cifar10: tuple[Path, np.ndarray, np.ndarray], config: Config) -> None:
    folder = cifar10[0]
    (folder / "batches.meta.txt").write_text("\n".join("abcdefghij") + "\n\n")
    assert opened(config(format="cifar10", root=folder)).classes == tuple("abcdefghij")


def test_cifar100_takes_the_fine_label(tmp_path: Path, config: Config) -> None:
    images, labels = write_file(tmp_path / "train.bin", 9, 100, 1, prefix=b"\x13")
    write_file(tmp_path / "test.bin", 3, 100, 2, prefix=b"\x13")
    source = opened(config(format="cifar100", root=tmp_path), classes=100)
    assert source.labels.tolist() == labels.tolist()
    assert np.array_equal([source.image(at) for at in range(9)], images)
    assert source.classes[99] == "99"


def test_missing_and_cut_files(cifar10: tuple[Path, np.ndarray, np.ndarray], config: Config) -> None:
    folder = cifar10[0]
    data = config(format="cifar10", root=folder)
    whole = (folder / "data_batch_2.bin").read_bytes()
    (folder / "data_batch_2.bin").write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"data_batch_2.bin has \d+ bytes; expected a multiple of 3073"):
        opened(data)
    (folder / "data_batch_2.bin").write_bytes(b"\x0a" + whole[1:])
    with pytest.raises(DataError, match=r"label 10 found; expected 0 ... 9"):
        opened(data)
    (folder / "data_batch_2.bin").rename(folder / "data_batch_2")
    with pytest.raises(DataError, match=r"lacks data_batch_2.bin; expected the \*binary version\*"):
        opened(data)
    assert len(opened(config(format="cifar10", root=folder, val="test"), "val")) == 9


def test_cut_archives(cifar10: tuple[Path, np.ndarray, np.ndarray], config: Config) -> None:
    for path in (tarred(cifar10[0]), zipped(cifar10[0])):
        path.write_bytes(path.read_bytes()[:5000])
        with pytest.raises(DataError, match=path.name):
            opened(config(format="cifar10", root=path))


def test_wrong_requests(cifar10: tuple[Path, np.ndarray, np.ndarray], config: Config, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.val is 'valid'; cifar10 has the splits train and test"):
        opened(config(format="cifar10", root=cifar10[0], val="valid"), "val")
    with pytest.raises(DataError, match="null"):
        opened(config(format="cifar10"))
    with pytest.raises(DataError, match="does not exist"):
        opened(config(format="cifar10", root=tmp_path / "no.tar.gz"))
