"""RandAugment and AutoAugment against the papers' tables, and every operation against its arithmetic."""

import numpy as np
import pytest
from PIL import Image

from ppresnet.pixels import policies
from ppresnet.pixels.operations import OPERATIONS, apply
from ppresnet.pixels.policies import POLICIES, AutoAugment, RandAugment

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
DIRECTED = {
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "contrast",
    "color",
    "brightness",
    "sharpness",
}


def after(name: str, magnitude: float, sign: int = 1, pixels: np.ndarray = PIXELS) -> np.ndarray:
    return np.asarray(apply(Image.fromarray(pixels), name, magnitude, sign))


@pytest.mark.parametrize("name", sorted(DIRECTED))
def test_directed_operations_do_nothing_at_zero_and_mirror_their_sign(name: str) -> None:
    np.testing.assert_array_equal(after(name, 0), PIXELS)
    assert (after(name, 8) != PIXELS).any()
    assert (after(name, 8, 1) != after(name, 8, -1)).any()


def test_moves_are_shares_of_the_picture() -> None:
    shift = round(150 / 331 * 30 * 0.5)
    moved = after("translate_x", 5)
    np.testing.assert_array_equal(moved[:, : 30 - shift], PIXELS[:, shift:])
    assert (moved[:, 30 - shift + 1 :] == 128).all()
    shift = round(150 / 331 * 20)
    np.testing.assert_array_equal(after("translate_y", 10, -1)[shift:], PIXELS[: 20 - shift])


def test_tones() -> None:
    np.testing.assert_array_equal(after("invert", 3), 255 - PIXELS)
    np.testing.assert_array_equal(after("posterize", 10), PIXELS & 0xF0)
    np.testing.assert_array_equal(after("solarize", 5), np.where(PIXELS < 128, PIXELS, 255 - PIXELS))
    np.testing.assert_allclose(after("brightness", 10, -1), PIXELS * 0.1, atol=1)
    dull = 100 + PIXELS % 50
    assert after("auto_contrast", 0, pixels=dull).min() == 0 and after("auto_contrast", 0, pixels=dull).max() == 255


def test_the_policies_have_the_published_pairs() -> None:
    for name, pairs in POLICIES.items():
        assert len(pairs) == 25, name
        assert all(
            step.name in OPERATIONS and 0 <= step.p <= 1 and 0 <= step.magnitude <= 9 for p in pairs for step in p
        )
    assert [tuple(step) for step in POLICIES["cifar10"][1]] == [("rotate", 0.7, 2), ("translate_x", 0.3, 9)]
    assert [tuple(step) for step in POLICIES["imagenet"][13]] == [("invert", 0.6, 4), ("equalize", 1.0, 8)]
    used = {step.name for pairs in POLICIES.values() for pair in pairs for step in pair}
    assert used == set(OPERATIONS) - {"identity"}


def test_a_policy_does_its_own_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, float]] = []
    monkeypatch.setattr(policies, "apply", lambda picture, *what: done.append(what[:2]) or picture)
    for policy, pairs in POLICIES.items():
        done.clear()
        for seed in range(2000):
            AutoAugment(policy=policy)(PIXELS, np.random.default_rng(seed), 20)
        assert set(done) == {(step.name, step.magnitude) for pair in pairs for step in pair if step.p}, policy


def test_rand_augment_does_n_operations_of_magnitude_m() -> None:
    def changed(n: int, m: float) -> float:
        images = [RandAugment(n=n, m=m)(PIXELS, np.random.default_rng(seed), 20) for seed in range(60)]
        return float(np.mean([np.abs(image.astype(int) - PIXELS).mean() for image in images]))

    assert changed(1, 1) < changed(1, 9) < changed(3, 9)


@pytest.mark.parametrize("step", [RandAugment(), AutoAugment(policy="cifar10"), AutoAugment()])
@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour_keep_their_shape(step: RandAugment | AutoAugment, channels: int) -> None:
    image = PIXELS[:, ::-1, :channels]
    for seed in range(40):
        result = step(image, np.random.default_rng(seed), 20)
        assert result.dtype == np.uint8 and result.shape == image.shape
