"""Small data sets made by the tests."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppresnet.config.schema import DataConfig


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


def pixels_of(split: str, kind: str, number: int) -> np.ndarray:
    """The pixels of an image of `pictures`, from its name alone."""
    seed = [ord(letter) for letter in split + kind] + [number]
    return np.random.default_rng(seed).integers(0, 256, (10, 8, 3), dtype=np.uint8)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Class folders: train and val of bird (3), cat (2) and dog (4), as PNG of 8 columns and 10 rows."""
    root = tmp_path / "pictures"
    for split in ("train", "val"):
        for kind, count in (("dog", 4), ("bird", 3), ("cat", 2)):
            folder = root / split / kind
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number}.png").write_bytes(png(pixels_of(split, kind, number)))
    return root


@pytest.fixture(params=["folder", "zip"])
def place(request: pytest.FixtureRequest, pack: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Leaves a folder as it is, or packs it."""
    return pack if request.param == "zip" else lambda folder: folder


@pytest.fixture
def pack() -> Callable[[Path], Path]:
    """Packs a folder into a zip beside it, its last file first."""

    def zipped(folder: Path) -> Path:
        target = folder.with_suffix(".zip")
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*"), reverse=True):
                archive.write(path, path.relative_to(folder).as_posix())
        return target

    return zipped


@pytest.fixture
def config() -> Callable[..., DataConfig]:
    """Makes the `data` section of a recipe for 8 x 8 colour images, with changes."""

    def make(**changes: object) -> DataConfig:
        colour = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25), "val": "val"}
        return DataConfig(**{"input_size": 8, **colour} | {key: _plain(value) for key, value in changes.items()})

    return make


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
