"""Images kept in memory: read once, as many as there is room for, and the same pixels."""

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from ppresnet.config import DataConfig
from ppresnet.data import Samples, open_split
from ppresnet.data.kept import KeptImages
from ppresnet.pixels import AUGMENTS, BrokenImage, Preprocess


class Counted:
    """Ten images of 12 bytes; number 9 is broken."""

    classes = ("a", "b")
    labels = np.arange(10) % 2

    def __init__(self) -> None:
        self.read: list[int] = []

    def __len__(self) -> int:
        return 10

    def name(self, index: int) -> str:
        return f"image {index}"

    def describe(self) -> str:
        return "ten images"

    def image(self, index: int) -> NDArray[np.uint8]:
        self.read.append(index)
        if index == 9:
            raise BrokenImage("cut short")
        return np.full((2, 2, 3), index, np.uint8)


def test_an_image_is_read_once_as_long_as_there_is_room() -> None:
    source = Counted()
    kept = KeptImages(source, 3 * 12 + 11)
    for _ in range(2):
        for index in (4, 0, 7, 5):
            assert (kept.image(index) == index).all()
    assert source.read == [4, 0, 7, 5, 5]


def test_what_is_kept_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        KeptImages(Counted(), 100).image(3)[0] = 1


def test_a_broken_image_is_broken_every_time() -> None:
    source = Counted()
    kept = KeptImages(source, 100)
    for _ in range(2):
        with pytest.raises(BrokenImage, match="cut short"):
            kept.image(9)
    assert source.read == [9, 9]


def test_it_is_the_source_in_everything_else_and_pickles_without_pixels() -> None:
    source = Counted()
    kept = KeptImages(source, 10**6)
    empty = len(pickle.dumps(kept))
    for index in range(9):
        kept.image(index)
    assert len(pickle.dumps(kept)) < empty + 100
    assert (len(kept), kept.classes, kept.name(3), kept.describe()) == (10, ("a", "b"), "image 3", "ten images")
    assert kept.labels is source.labels


@pytest.mark.parametrize("name", sorted(AUGMENTS))
def test_augmentations_make_the_same_of_kept_images(name: str) -> None:
    class Coloured(Counted):
        def image(self, index: int) -> NDArray[np.uint8]:
            return np.random.default_rng(index).integers(0, 256, (12, 12, 3), np.uint8)

    preprocess = Preprocess(input_size=8, in_channels=3, mean=(0.5,) * 3, std=(0.25,) * 3)
    sources = (Coloured(), KeptImages(Coloured(), 10**6))
    plain, kept = (Samples(source, preprocess, [{"name": name}], seed=3) for source in sources)
    for epoch in range(6):
        batches = [samples.load(epoch, np.arange(10)).images for samples in (plain, kept)]
        np.testing.assert_array_equal(*batches)


@pytest.mark.parametrize(("megabytes", "kept"), [(0, False), (1, True)])
def test_the_recipe_decides(megabytes: int, kept: bool) -> None:
    source = open_split(DataConfig(cache_mb=megabytes), "train", in_channels=1, num_classes=10)
    assert isinstance(source, KeptImages) is kept
    if isinstance(source, KeptImages):
        assert source.limit == 1024 * 1024
