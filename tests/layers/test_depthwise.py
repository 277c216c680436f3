"""Depthwise separable blocks and the hard swish, against their definitions."""

import numpy as np
import paddle
import pytest

from ppresnet.layers import DepthwiseSeparable, activation


def _image(channels: int = 4, size: int = 7) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, channels, size, size)).astype(np.float32)


def _changed(layer: paddle.nn.Layer, channel: int) -> np.ndarray:
    """Return which channels of the output change with one channel of the input."""
    x = _image()
    other = x.copy()
    other[:, channel] += 1
    out, moved = (layer(paddle.to_tensor(each)).numpy() for each in (x, other))
    return np.flatnonzero((out != moved).any(axis=(0, 2, 3)))


def test_hard_swish_is_the_formula() -> None:
    x = np.linspace(-5, 5, 101, dtype=np.float32)
    expected = x * np.clip(x + 3, 0, 6) / 6
    np.testing.assert_allclose(activation("hard_swish")(paddle.to_tensor(x)).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_the_depthwise_convolution_keeps_channels_apart_and_the_pointwise_one_joins_them() -> None:
    block = DepthwiseSeparable(4, 6, kernel=5)
    block.eval()
    for channel in range(4):
        assert _changed(block.depthwise, channel).tolist() == [channel]
    assert _changed(block, 2).tolist() == list(range(6))


@pytest.mark.parametrize(("kernel", "stride", "size"), [(3, 1, 7), (5, 1, 7), (3, 2, 4), (5, 2, 4)])
def test_the_size_is_divided_by_the_stride_and_rounded_up(kernel: int, stride: int, size: int) -> None:
    assert DepthwiseSeparable(4, 6, kernel, stride)(paddle.to_tensor(_image())).shape == [2, 6, size, size]


def test_the_excitation_stands_between_both() -> None:
    block = DepthwiseSeparable(4, 6, kernel=3, reduced=2)
    block.eval()
    x = paddle.to_tensor(_image())
    inner = block.depthwise(x)
    expected = block.pointwise(inner * block.excite.gate(block.excite.expand(block.excite.act(
        block.excite.reduce(inner.mean(axis=[2, 3], keepdim=True))
    ))))  # fmt: skip
    np.testing.assert_allclose(block(x).numpy(), expected.numpy(), rtol=1e-4, atol=1e-6)
    assert not np.allclose(block(x).numpy(), block.pointwise(inner).numpy(), atol=1e-3)
