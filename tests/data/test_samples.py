"""Batches against the same steps done by hand."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppresnet.config.schema import DataConfig
from ppresnet.data import Broken, Samples, open_split, preprocess_of
from ppresnet.errors import DataError
from ppresnet.pixels import Preprocess

Config = Callable[..., DataConfig]
ALL = np.arange(9)


def samples(data: DataConfig, augment: Sequence[dict[str, object]] = (), seed: int = 0) -> Samples:
    source = open_split(data, "train", in_channels=3, num_classes=3)
    return Samples(source, preprocess_of(data, 3), augment, seed)


@pytest.fixture
def data(config: Config, pictures: Path) -> DataConfig:
    return config(format="folder", root=pictures)


def file_of(pictures: Path, made: Samples, index: int) -> np.ndarray:
    return np.asarray(Image.open(pictures / made.source.name(index)))


def test_without_augmentation_it_is_the_evaluation_path(data: DataConfig, pictures: Path) -> None:
    made = samples(data)
    batch = made.load(3, np.array([5, 0, 8]))
    assert batch.labels.tolist() == [2, 0, 2]
    assert batch.indices.tolist() == [5, 0, 8]
    assert batch.images.shape == (3, 3, 8, 8)
    for image, index in zip(batch.images, (5, 0, 8), strict=True):
        exact = (file_of(pictures, made, index)[1:9] / 255 - 0.5) / 0.25
        assert np.array_equal(image, exact.transpose(2, 0, 1).astype(np.float32))


def test_preprocess_is_the_recipe(config: Config) -> None:
    made = preprocess_of(config(input_size=24, resize=30), 3)
    colour = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    assert made == Preprocess(input_size=24, in_channels=3, resize=30, **colour)


def test_random_crop_takes_the_place_of_the_centre_crop(data: DataConfig, pictures: Path) -> None:
    made = samples(data, [{"name": "random_crop"}])
    whole = file_of(pictures, made, 0)
    tops = {
        top
        for epoch in range(40)
        for top in range(3)
        if np.array_equal(made.pixels(epoch, np.array([0])).pixels[0], whole[top : top + 8])
    }
    assert tops == {0, 1, 2}


def test_random_crop_comes_after_the_resize(config: Config, pictures: Path) -> None:
    made = samples(config(format="folder", root=pictures, input_size=5, resize=6), [{"name": "random_crop"}])
    small = np.asarray(Image.open(pictures / made.source.name(0)).resize((6, 7), Image.Resampling.BILINEAR))
    windows = {small[y : y + 5, x : x + 5].tobytes() for y in range(3) for x in range(2)}
    assert {made.pixels(epoch, np.array([0])).pixels[0].tobytes() for epoch in range(60)} == windows


def test_each_image_has_its_own_chance(data: DataConfig, pictures: Path) -> None:
    made = samples(data, [{"name": "random_flip"}])
    straight = samples(data).pixels(0, ALL).pixels
    flipped = [
        [not np.array_equal(one, other) for one, other in zip(made.pixels(epoch, ALL).pixels, straight, strict=True)]
        for epoch in range(40)
    ]
    assert all(5 < count < 35 for count in np.sum(flipped, axis=0))
    assert sum(len(set(row)) == 2 for row in flipped) > 30


def test_flip_alone_follows_the_centre_crop(data: DataConfig, pictures: Path) -> None:
    made = samples(data, [{"name": "random_flip", "p": 1.0}])
    assert np.array_equal(made.pixels(0, np.array([4])).pixels[0], file_of(pictures, made, 4)[1:9, ::-1])


def test_resized_crop_starts_from_the_whole_picture(data: DataConfig, pictures: Path) -> None:
    everything = {"name": "random_resized_crop", "scale": (1.0, 1.0), "ratio": (0.8, 0.8)}
    made = samples(data, [everything])
    expected = Image.open(pictures / made.source.name(2)).resize((8, 8), Image.Resampling.BILINEAR)
    assert np.array_equal(made.pixels(0, np.array([2])).pixels[0], np.asarray(expected))


def test_randomness_depends_on_seed_epoch_and_index_only(data: DataConfig) -> None:
    augment = [{"name": "random_crop", "padding": 4}, {"name": "color_jitter", "brightness": 0.5}]
    made = samples(data, augment, seed=7)
    whole = made.load(2, ALL).images
    shuffled = np.array([3, 8, 1])
    assert np.array_equal(samples(data, augment, seed=7).load(2, shuffled).images, whole[shuffled])
    assert not np.array_equal(made.load(3, ALL).images, whole)
    assert not np.array_equal(samples(data, augment, seed=8).load(2, ALL).images, whole)


def test_broken_images_are_left_out_and_named(data: DataConfig, pictures: Path) -> None:
    (pictures / "train/bird/1.png").write_bytes(b"")
    path = pictures / "train/dog/0.png"
    path.write_bytes(path.read_bytes()[:-30])
    for _ in range(2):
        batch = samples(data).load(0, ALL)
        assert batch.indices.tolist() == [0, 2, 3, 4, 6, 7, 8]
        assert batch.labels.tolist() == [0, 0, 1, 1, 2, 2, 2]
        assert len(batch.images) == 7
        assert [item.name for item in batch.broken] == ["train/bird/1.png", "train/dog/0.png"]
        assert all(isinstance(item, Broken) and item.reason for item in batch.broken)


def test_batch_of_nothing_but_broken_images(data: DataConfig, pictures: Path) -> None:
    (pictures / "train/bird/0.png").write_bytes(b"x")
    batch = samples(data).load(0, np.array([0]))
    assert batch.images.shape == (0, 3, 8, 8)
    assert batch.labels.shape == batch.indices.shape == (0,)


def test_unreadable_file_is_named(data: DataConfig, pictures: Path) -> None:
    made = samples(data)
    (pictures / "train/cat/1.png").unlink()
    with pytest.raises(DataError, match=r"'train/cat/1.png' cannot be read: .*No such file"):
        made.load(0, ALL)
