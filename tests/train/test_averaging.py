"""Probabilities averaged over views, against numpy in float64."""

import numpy as np
import paddle
import pytest
from paddle import nn

from ppresnet.train.averaging import averaged_logits

RNG = np.random.default_rng(4)
KERNEL = 3 * RNG.standard_normal((2 * 4 * 4, 5)).astype(np.float32)
IMAGES = RNG.standard_normal((6, 3, 2, 4, 4)).astype(np.float32)


class Linear(nn.Layer):
    def forward(self, images_NCHW: paddle.Tensor) -> paddle.Tensor:
        return images_NCHW.flatten(1) @ paddle.to_tensor(KERNEL)


def shares(images_NCHW: np.ndarray, binary: bool) -> np.ndarray:
    logits = images_NCHW.reshape(len(images_NCHW), -1).astype(np.float64) @ KERNEL.astype(np.float64)
    return 1 / (1 + np.exp(-logits)) if binary else np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def probabilities(logits: paddle.Tensor, binary: bool) -> np.ndarray:
    found = logits.numpy().astype(np.float64)
    return 1 / (1 + np.exp(-found)) if binary else np.exp(found)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("mirror", [False, True])
def test_the_probabilities_of_all_views_are_averaged(mirror: bool, binary: bool) -> None:
    views = [IMAGES[:, index] for index in range(3)]
    views += [view[..., ::-1] for view in views] if mirror else []
    wanted = np.mean([shares(view, binary) for view in views], axis=0)
    found = averaged_logits(Linear(), IMAGES, mirror, binary)
    np.testing.assert_allclose(probabilities(found, binary), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("binary", [False, True])
def test_an_image_and_its_mirror_image_are_told_the_same(binary: bool) -> None:
    images, turned = IMAGES[:, 0], IMAGES[:, 0, ..., ::-1]
    first, second = (averaged_logits(Linear(), one, True, binary).numpy() for one in (images, turned))
    np.testing.assert_allclose(first, second, rtol=1e-5)
    plain, other = (averaged_logits(Linear(), one, False, binary).numpy() for one in (images, turned))
    assert np.abs(plain - other).max() > 0.1


def test_one_view_keeps_the_logits_of_the_network() -> None:
    found = averaged_logits(Linear(), IMAGES[:, 0], mirror=False, binary=False)
    np.testing.assert_array_equal(found.numpy(), Linear()(paddle.to_tensor(IMAGES[:, 0])).numpy())


def test_certain_answers_stay_finite() -> None:
    found = averaged_logits(Linear(), 1e4 * IMAGES, mirror=True, binary=True)
    assert np.isfinite(found.numpy()).all()


def test_logits_of_a_short_type_are_counted_in_float32() -> None:
    class Short(Linear):
        def forward(self, images_NCHW: paddle.Tensor) -> paddle.Tensor:
            return super().forward(images_NCHW).astype("bfloat16")

    found = averaged_logits(Short(), IMAGES[:, 0], mirror=False, binary=False)
    assert found.dtype == paddle.float32
    np.testing.assert_allclose(found.numpy(), Linear()(paddle.to_tensor(IMAGES[:, 0])).numpy(), rtol=0.01)
