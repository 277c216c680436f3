"""Crops of the corners against slices of the resized picture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppresnet.config.schema import DataConfig
from ppresnet.data import Loader, open_split, preprocess_of
from ppresnet.data.views import VIEWS, CornerSamples
from ppresnet.errors import ConfigError


def samples(data: DataConfig) -> CornerSamples:
    source = open_split(data, "val", in_channels=3, num_classes=3)
    return CornerSamples(source, preprocess_of(data, 3))


@pytest.mark.parametrize("workers", [0, 1])
def test_corners_and_centre(pictures: Path, config: Callable[..., DataConfig], workers: int) -> None:
    made = samples(config(format="folder", root=pictures, resize=12))
    with Loader(made, workers=workers) as loader:
        (batch,) = loader.run(0, [np.arange(4)])
    assert batch.images.shape == (4, 5, 3, 8, 8)
    for index, views in enumerate(batch.images):
        picture = Image.open(pictures / made.source.name(index)).resize((12, 15), Image.Resampling.BILINEAR)
        pixels = (np.asarray(picture) / 255 - 0.5) / 0.25
        wanted = [pixels[:8, :8], pixels[:8, 4:], pixels[7:, :8], pixels[7:, 4:], pixels[3:11, 2:10]]
        np.testing.assert_allclose(views, np.transpose(wanted, (0, 3, 1, 2)), atol=1 / 255 / 0.25 + 1e-6)
        assert not np.array_equal(views[0], views[3])


def test_the_last_crop_is_the_evaluation_path(pictures: Path, config: Callable[..., DataConfig]) -> None:
    made = samples(config(format="folder", root=pictures, resize=11))
    batch = made.load(0, np.arange(3))
    for index in range(3):
        np.testing.assert_array_equal(batch.images[index, 4], made.preprocess(made.source.image(index)))


def test_broken_pictures_are_left_out(pictures: Path, config: Callable[..., DataConfig]) -> None:
    for path in sorted((pictures / "val" / "bird").iterdir())[:2]:
        path.write_bytes(b"nothing")
    made = samples(config(format="folder", root=pictures, resize=12))
    assert made.load(0, np.arange(3)).images.shape == (1, 5, 3, 8, 8)
    assert made.load(0, np.arange(2)).images.shape == (0, 5, 3, 8, 8)


@pytest.mark.parametrize(("resize", "found"), [(None, "null"), (8, "8")])
def test_nothing_to_crop(pictures: Path, config: Callable[..., DataConfig], resize: int | None, found: str) -> None:
    with pytest.raises(ConfigError, match=rf"need data\.resize above data\.input_size, which is 8; found {found}"):
        samples(config(format="folder", root=pictures, resize=resize))


def test_names_of_the_views() -> None:
    assert set(VIEWS) == {"none", "flip", "five_crop", "ten_crop"}
    assert VIEWS["ten_crop"] == (True, True)
