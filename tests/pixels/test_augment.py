"""Augmentations against brute force and the colour formulas."""

import colorsys
import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ppresnet.pixels import AUGMENTS, parse_augment
from ppresnet.pixels.augment import ColorJitter, RandomCrop, RandomFlip, RandomResizedCrop
from ppresnet.pixels.preprocess import resize

IMAGE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
EXAMPLES = [
    {"name": "random_crop", "padding": 2},
    {"name": "random_flip"},
    {"name": "color_jitter", "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    {"name": "random_resized_crop"},
    {"name": "rand_augment"},
    {"name": "auto_augment", "policy": "cifar10"},
    {"name": "random_erasing", "p": 1.0},
    {"name": "cutout", "length": 3},
]


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def windows(image: np.ndarray, pad: int, size: int) -> list[bytes]:
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    rows, columns = padded.shape[0] - size + 1, padded.shape[1] - size + 1
    return [padded[y : y + size, x : x + size].tobytes() for y in range(rows) for x in range(columns)]


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda entry: entry["name"])
@pytest.mark.parametrize("channels", [1, 3])
def test_same_generator_same_image(entry: dict[str, object], channels: int) -> None:
    (step,) = parse_augment([entry])
    image = IMAGE[:, :, :channels]
    before = image.copy()
    results = [step(image, generator(seed), 8) for seed in (5, 5, 6, 7, 8, 9)]
    assert np.array_equal(results[0], results[1])
    assert any(not np.array_equal(results[0], other) for other in results[2:])
    assert all(result.dtype == np.uint8 and result.shape == (8, 8, channels) for result in results)
    assert np.array_equal(image, before)


@pytest.mark.parametrize(("padding", "size"), [(0, 8), (2, 8), (0, 6), (1, 5)])
def test_crops_are_all_the_windows_of_the_padded_image(padding: int, size: int) -> None:
    crop = RandomCrop(padding=padding)
    found = {np.ascontiguousarray(crop(IMAGE, generator(seed), size)).tobytes() for seed in range(600)}
    assert found == set(windows(IMAGE, padding, size))


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric"])
@pytest.mark.parametrize(("padding", "size"), [(2, 8), (3, 6), (9, 8)])
def test_crops_of_an_image_that_goes_on(mode: Any, padding: int, size: int) -> None:
    crop = RandomCrop(padding=padding, padding_mode=mode)
    padded = np.pad(IMAGE, ((padding, padding), (padding, padding), (0, 0)), mode=mode)
    found = {crop(IMAGE, generator(seed), size).tobytes() for seed in range(600)}
    assert found <= set(windows(padded, 0, size))
    assert len(found) > 20 and found != set(windows(IMAGE, padding, size))


def test_crop_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match="cannot cut 11 x 11 from 8 x 8 with padding 1"):
        RandomCrop(padding=1)(IMAGE, generator(0), 11)


def test_flip_follows_its_probability() -> None:
    def flips(p: float) -> int:
        results = [RandomFlip(p=p)(IMAGE, generator(seed), 8) for seed in range(400)]
        assert all(np.array_equal(one, IMAGE) or np.array_equal(one, np.fliplr(IMAGE)) for one in results)
        return sum(not np.array_equal(one, IMAGE) for one in results)

    assert flips(0.0) == 0
    assert flips(1.0) == 400
    assert abs(flips(0.25) - 100) < 5 * math.sqrt(400 * 0.25 * 0.75)


def drawn(jitter: ColorJitter, seed: int) -> tuple[list[float], float]:
    """The factors a jitter will draw: an order of four, then one number for each of the four."""
    rng = generator(seed)
    rng.permutation(4)
    strengths = (jitter.brightness, jitter.contrast, jitter.saturation)
    factors = [rng.uniform(max(0.0, 1 - strength), 1 + strength) for strength in strengths]
    return factors, rng.uniform(-jitter.hue, jitter.hue)


def luma(image: np.ndarray) -> np.ndarray:
    return image @ np.array([0.299, 0.587, 0.114])


@pytest.mark.parametrize("seed", range(5))
def test_jitter_one_property_at_a_time(seed: int) -> None:
    values = IMAGE.astype(np.float64)
    grounds = {"brightness": 0.0, "contrast": luma(values).mean(), "saturation": luma(values)[:, :, None]}
    for at, (name, ground) in enumerate(grounds.items()):
        jitter = ColorJitter(**{name: 1.5})
        factor = drawn(jitter, seed)[0][at]
        expected = np.clip(ground + factor * (values - ground), 0, 255)
        assert np.abs(jitter(IMAGE, generator(seed), 8) - expected).max() <= 2.5, name


@pytest.mark.parametrize("seed", range(5))
def test_jitter_turns_hue(seed: int) -> None:
    jitter = ColorJitter(hue=0.5)
    turn = drawn(jitter, seed)[1]
    result = jitter(IMAGE, generator(seed), 8)
    for pixel, turned in zip(IMAGE.reshape(-1, 3), result.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255))
        expected = np.array(colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)) * 255
        assert np.abs(turned - expected).max() <= 16  # hue and saturation are 8-bit here
        assert turned.max() == pixel.max()


def test_jitter_of_nothing_is_nothing() -> None:
    assert np.array_equal(ColorJitter()(IMAGE, generator(1), 8), IMAGE)
    grey = IMAGE[:, :, :1]
    assert np.array_equal(ColorJitter(saturation=1.0, hue=0.5)(grey, generator(1), 8), grey)


def test_resized_crop_of_everything_is_a_resize() -> None:
    whole = RandomResizedCrop(scale=(1.0, 1.0), ratio=(1.0, 1.0))
    assert np.array_equal(whole(IMAGE, generator(0), 5), resize(IMAGE, 5, 5))


def test_resized_crop_keeps_to_its_bounds() -> None:
    crop = RandomResizedCrop()
    boxes = [crop._draw(300, 400, generator(seed)) for seed in range(500)]
    areas, ratios = [], []
    for top, left, height, width in filter(None, boxes):
        assert 0 <= top <= 300 - height
        assert 0 <= left <= 400 - width
        areas.append(height * width / 120_000)
        ratios.append(width / height)
    assert 0.078 < min(areas) < 0.12
    assert 0.85 < max(areas) <= 1
    assert 0.74 < min(ratios) < 0.77
    assert 1.30 < max(ratios) < 1.35


def test_resized_crop_falls_back_to_the_centre() -> None:
    column = np.repeat(np.arange(100, dtype=np.uint8), 12).reshape(100, 4, 3)
    crop = RandomResizedCrop(scale=(1.0, 1.0), ratio=(1.0, 1.0))
    assert np.array_equal(crop(column, generator(0), 4), column[48:52])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "random_crops"}, "random_crops"),
        ({"name": "random_crop", "pad": 4}, "pad"),
        ({"name": "random_crop", "padding": -1}, "padding"),
        ({"name": "random_flip", "p": 1.5}, "less than or equal to 1"),
        ({"name": "color_jitter", "hue": 0.6}, "hue"),
        ({"name": "random_resized_crop", "scale": (0.5, 0.1)}, "smaller first"),
        ({"name": "random_resized_crop", "scale": (0.5, 2)}, "at most 1"),
        ({"name": "random_resized_crop", "ratio": (2, 1)}, "smaller first"),
        ({"padding": 4}, "name"),
    ],
)
def test_wrong_entries_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parse_augment([entry])


def test_names_are_the_keys() -> None:
    assert {name: chosen().name for name, chosen in AUGMENTS.items()} == {name: name for name in AUGMENTS}
