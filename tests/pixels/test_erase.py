"""Erased parts: as large as asked for, anywhere, and nothing else changed."""

import numpy as np
import pytest
from pydantic import ValidationError

from ppresnet.pixels.erase import Cutout, RandomErasing

IMAGE = np.full((24, 24, 3), 200, np.uint8)


def changed(image: np.ndarray) -> np.ndarray:
    return (image != 200).any(axis=2)


def test_erased_share_and_probability() -> None:
    erase = RandomErasing(p=0.5, scale=(0.1, 0.3))
    shares = [changed(erase(IMAGE, np.random.default_rng(seed), 24)).mean() for seed in range(400)]
    done = [share for share in shares if share]
    assert 160 < len(done) < 240
    assert min(done) > 0.07 and max(done) < 0.35
    assert max(done) - min(done) > 0.1


@pytest.mark.parametrize(("least", "most"), [(0.3, 0.6), (2.0, 3.3)])
def test_erased_parts_have_the_ratio_asked_for(least: float, most: float) -> None:
    erase = RandomErasing(p=1.0, scale=(0.1, 0.2), ratio=(least, most))
    for seed in range(100):
        done = changed(erase(IMAGE, np.random.default_rng(seed), 24))
        ratio = done.any(axis=1).sum() / done.any(axis=0).sum()
        assert least * 0.7 < ratio < most * 1.4


@pytest.mark.parametrize(("fill", "values"), [("black", 1), ("noise", 50)])
def test_fill(fill: str, values: int) -> None:
    image = RandomErasing(p=1, fill=fill)(IMAGE, np.random.default_rng(1), 24)
    assert min(values, 50) <= len(np.unique(image[changed(image)])) <= (1 if values == 1 else 256)
    assert (IMAGE == 200).all()


def test_cutout_is_a_black_square_that_may_stick_out() -> None:
    areas, centres = set(), np.zeros((24, 24), bool)
    for seed in range(300):
        image = Cutout(length=8)(IMAGE, np.random.default_rng(seed), 24)
        areas.add(int(changed(image).sum()))
        centres |= changed(image)
        assert (image[changed(image)] == 0).all()
    assert max(areas) == 64 and min(areas) == 16
    assert centres.all()


def test_ranges_are_ordered() -> None:
    with pytest.raises(ValidationError, match="smaller first"):
        RandomErasing(scale=(0.4, 0.2))
    with pytest.raises(ValidationError, match="smaller first"):
        RandomErasing(ratio=(3, 2))
