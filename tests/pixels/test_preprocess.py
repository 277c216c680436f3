"""The evaluation path against its definition, written out in numpy with nothing of Pillow in it."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from ppresnet.pixels import BrokenImage, Preprocess
from ppresnet.pixels.preprocess import centre_crop, normalise_table, resize, resize_shorter

RNG = np.random.default_rng(0)
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def random_image(height: int, width: int, channels: int = 3) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8)


def triangle_pass(image: np.ndarray, size: int) -> np.ndarray:
    """One pass of the resize along axis 0: triangle filter, weights in 22-bit fixed point, rounded to uint8."""
    scale = image.shape[0] / size
    support = max(scale, 1.0)
    rows = []
    for target in range(size):
        centre = (target + 0.5) * scale
        first = max(0, int(centre - support + 0.5))
        last = min(image.shape[0], int(centre + support + 0.5))
        weights = [max(0.0, 1 - abs((at - centre + 0.5) / support)) for at in range(first, last)]
        total = sum(weights)
        fixed = np.array([math.floor(0.5 + weight / total * (1 << 22)) for weight in weights])
        summed = np.tensordot(fixed, image[first:last].astype(np.int64), axes=1)
        rows.append(np.clip((summed + (1 << 21)) >> 22, 0, 255))
    return np.array(rows, np.uint8)


def definition(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Columns first, then rows, each rounded to uint8."""
    across = image if image.shape[1] == width else triangle_pass(image.transpose(1, 0, 2), width).transpose(1, 0, 2)
    return across if across.shape[0] == height else triangle_pass(across, height)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("shape", "size"), [((37, 50), (24, 19)), ((8, 8), (20, 20)), ((90, 61), (61, 7))])
def test_resize_is_the_definition_byte_for_byte(shape: tuple[int, int], size: tuple[int, int], channels: int) -> None:
    image = random_image(*shape, channels)
    assert np.array_equal(resize(image, *size), definition(image, *size))


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [
        ((375, 500), 256, (256, 341)),
        ((500, 375), 256, (341, 256)),
        ((10, 10), 7, (7, 7)),
        ((3, 8), 4, (4, 10)),
        ((8, 3), 4, (10, 4)),
    ],
)
def test_shorter_side(shape: tuple[int, int], side: int, expected: tuple[int, int]) -> None:
    assert resize_shorter(random_image(*shape), side).shape[:2] == expected


def test_right_size_is_left_alone() -> None:
    image = random_image(32, 48)
    assert resize_shorter(image, 32) is image


def test_centre_crop_rounds_down() -> None:
    image = random_image(9, 12)
    assert np.array_equal(centre_crop(image, 4), image[2:6, 4:8])
    assert np.array_equal(centre_crop(image, 9), image[:, 1:10])


def test_normalise_is_the_float64_formula() -> None:
    preprocess = Preprocess(input_size=8, in_channels=3, **IMAGENET)
    images = random_image(24, 8).reshape(3, 8, 8, 3)
    exact = (images.astype(np.float64) / 255 - IMAGENET["mean"]) / IMAGENET["std"]
    result = preprocess.normalise(images)
    assert result.dtype == np.float32
    assert np.array_equal(result, exact.transpose(0, 3, 1, 2).astype(np.float32))


@pytest.mark.parametrize(("batch", "size"), [(70, 32), (3, 224), (2, 300), (0, 8)])
def test_batches_of_any_size_are_the_images_one_by_one(batch: int, size: int) -> None:
    preprocess = Preprocess(input_size=size, in_channels=3, **IMAGENET)
    images = RNG.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    result = preprocess.normalise(images)
    assert result.shape == (batch, 3, size, size)
    assert all(np.array_equal(one, preprocess(image)) for one, image in zip(result, images, strict=True))


def test_table_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        normalise_table((0.5,), (0.5,))[0, 0] = 1


def test_whole_path() -> None:
    preprocess = Preprocess(input_size=20, in_channels=3, resize=24, **IMAGENET)
    image = random_image(50, 37)
    small = definition(image, 24, 24 * 50 // 37)
    top = (small.shape[0] - 20) // 2
    cut = small[top : top + 20, 2:22].astype(np.float64)
    exact = ((cut / 255 - IMAGENET["mean"]) / IMAGENET["std"]).transpose(2, 0, 1).astype(np.float32)
    assert np.array_equal(preprocess(image), exact)


def test_without_resize_another_size_is_fitted() -> None:
    preprocess = Preprocess(input_size=8, in_channels=1, mean=(0.0,), std=(1.0,))
    same, other = random_image(8, 8, 1), random_image(16, 24, 1)
    assert np.array_equal(preprocess.fit(same), same)
    assert np.array_equal(preprocess.fit(other), definition(other, 12, 8)[:, 2:10])


def test_thread_of_pixels_is_refused() -> None:
    with pytest.raises(BrokenImage, match="would become"):
        resize_shorter(np.zeros((1, 100_000, 3), np.uint8), 224)


def test_wrong_channels() -> None:
    with pytest.raises(ValueError, match="3 channels; this network expects 1"):
        Preprocess(input_size=8, in_channels=1, mean=(0.0,), std=(1.0,))(random_image(8, 8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": (0.5,)}, "mean has 1 values; expected 3"),
        ({"std": (0.5, 0.5)}, "std has 2 values; expected 3"),
        ({"std": (0.5, 0.5, 0.0)}, "greater than 0"),
        ({"resize": 200}, "resize 200 is smaller than input_size 224"),
        ({"mean": (0.5, 0.5, float("nan"))}, "finite"),
        ({"colour": "bgr"}, "Extra inputs"),
    ],
)
def test_contradictions_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Preprocess(**{"input_size": 224, "in_channels": 3, **IMAGENET} | change)


def test_survives_json() -> None:
    preprocess = Preprocess(input_size=224, in_channels=3, resize=256, **IMAGENET)
    assert Preprocess.model_validate_json(preprocess.model_dump_json()) == preprocess
