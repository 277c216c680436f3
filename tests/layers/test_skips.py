"""Skips against numpy, and the error of a skip that does not match."""

import numpy as np
import paddle
import pytest

from ppresnet.errors import ConfigError
from ppresnet.layers import BasicBlock, IdentitySkip, ProjectionSkip, ZeroPadSkip


def _image(channels: int = 4, size: int = 6) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, channels, size, size)).astype(np.float32)


def test_identity_returns_its_input() -> None:
    x = _image()
    np.testing.assert_array_equal(IdentitySkip(4, 4, 1)(paddle.to_tensor(x)).numpy(), x)


@pytest.mark.parametrize(("channels", "out", "stride"), [(4, 8, 2), (4, 7, 1), (4, 4, 2)])
def test_zero_pad_subsamples_and_pads_both_sides(channels: int, out: int, stride: int) -> None:
    x = _image(channels)
    expected = np.zeros((2, out, 6 // stride, 6 // stride), np.float32)
    before = (out - channels) // 2
    expected[:, before : before + channels] = x[:, :, ::stride, ::stride]
    skip = ZeroPadSkip(channels, out, stride)
    np.testing.assert_array_equal(skip(paddle.to_tensor(x)).numpy(), expected)
    skip.eval()
    # Paddle's reciprocal of a root may be one bit off, which depends on the CPU; evaluation has a BatchNorm.
    np.testing.assert_allclose(skip(paddle.to_tensor(x)).numpy(), expected, rtol=2e-7)
    assert not skip.state_dict()


def test_projection_is_a_strided_matrix_product_when_its_norm_is_neutral() -> None:
    skip = ProjectionSkip(4, 8, 2)
    skip.eval()
    x = _image()
    kernel = skip.project.conv.weight.numpy()[:, :, 0, 0]
    expected = np.einsum("oc,nchw->nohw", kernel, x[:, :, ::2, ::2]) / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(skip(paddle.to_tensor(x)).numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("skip", "widths", "stride", "named"),
    [
        ("identity", (8, 8), 1, "[N, 8, H, W]"),
        ("identity", (4, 4), 2, "[N, 4, H/2, W/2]"),
        ("zero_pad", (2, 2), 1, "[N, 2, H, W]"),
    ],
)
def test_a_skip_that_does_not_match_is_refused_with_both_shapes(
    skip: str, widths: tuple[int, int], stride: int, named: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        BasicBlock(4, widths, skip, stride)
    assert "[N, 4, H, W]" in str(caught.value)
    assert named in str(caught.value)


def test_unknown_skip_is_named() -> None:
    with pytest.raises(ConfigError, match="unknown skip 'concat'; expected one of identity, projection, zero_pad"):
        BasicBlock(4, (4, 4), "concat")
