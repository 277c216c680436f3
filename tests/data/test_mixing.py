"""Mixup and CutMix: pixels and shares must tell the same story."""

import numpy as np
import pytest

from ppresnet.data.mixing import mix

# Image i is all i, so that a pixel says where it comes from.
IMAGES = np.broadcast_to(np.arange(6, dtype=np.float32)[:, None, None, None], (6, 3, 16, 12)).copy()
LABELS = np.arange(6)


def test_off_is_the_batch_itself() -> None:
    mixed = mix(IMAGES, LABELS, np.random.default_rng(0))
    assert mixed.images is IMAGES and mixed.share == 1.0
    assert mix(IMAGES[:1], LABELS[:1], np.random.default_rng(0), mixup=1.0).share == 1.0


@pytest.mark.parametrize("seed", range(20))
def test_mixup_blends_by_the_share(seed: int) -> None:
    mixed = mix(IMAGES, LABELS, np.random.default_rng(seed), mixup=0.8)
    expected = mixed.share * mixed.labels + (1 - mixed.share) * mixed.others
    np.testing.assert_allclose(mixed.images[:, 1, 3, 5], expected, rtol=1e-5, atol=1e-6)
    assert sorted(mixed.others) == list(LABELS)


@pytest.mark.parametrize("seed", range(20))
def test_cutmix_pastes_a_rectangle_of_the_stated_area(seed: int) -> None:
    mixed = mix(IMAGES, LABELS, np.random.default_rng(seed), cutmix=1.0)
    for image, label, other in zip(mixed.images, mixed.labels, mixed.others, strict=True):
        assert set(np.unique(image)) <= {label, other}
        if other != label:
            assert (image == label).mean() == pytest.approx(mixed.share)
            rows, columns = np.nonzero(image[0] == other)
            if len(rows):
                assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert (IMAGES[:, 0, 0, 0] == LABELS).all()


def test_shares_follow_the_beta_distribution() -> None:
    shares = [mix(IMAGES, LABELS, np.random.default_rng(seed), mixup=0.2).share for seed in range(2000)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.05)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * 0.2 + 1)), rel=0.1)


def test_both_take_turns_by_a_coin() -> None:
    whole = [mix(IMAGES, LABELS, np.random.default_rng(s), mixup=1, cutmix=1).images[:, 0] for s in range(100)]
    blended = sum(bool((images % 1).any()) for images in whole)
    assert 25 < blended < 75
