"""Dense layers and transitions against numpy."""

import numpy as np
import paddle
from paddle import nn

from ppresnet.layers import DenseLayer, DenseSkip, Transition


def _image(channels: int = 6, batch: int = 2, size: int = 5) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((batch, channels, size, size)).astype(np.float32)


def _normalised(x_NCHW: np.ndarray, norm: nn.Layer) -> np.ndarray:
    """What a fresh normalisation and ReLU give in evaluation: statistics 0 and 1."""
    return np.maximum(x_NCHW / np.sqrt(1 + norm._epsilon), 0)


def _convolved(x_NCHW: np.ndarray, kernel_OIHW: np.ndarray) -> np.ndarray:
    pad = kernel_OIHW.shape[2] // 2
    x_NCHW = np.pad(x_NCHW.astype(np.float64), [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    windows = np.lib.stride_tricks.sliding_window_view(x_NCHW, kernel_OIHW.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, kernel_OIHW)


def test_a_dense_skip_keeps_its_input_in_front() -> None:
    old, new = _image(3), _image(2)
    out = DenseSkip()(paddle.to_tensor(old), paddle.to_tensor(new)).numpy()
    np.testing.assert_array_equal(out, np.concatenate([old, new], axis=1))


def test_a_dense_layer_without_bottleneck_adds_one_convolution() -> None:
    layer = DenseLayer(6, 4)
    layer.eval()
    x = _image()
    out = layer(paddle.to_tensor(x)).numpy()
    expected = _convolved(_normalised(x, layer.before.norm), layer.grow.conv.weight.numpy())
    np.testing.assert_array_equal(out[:, :6], x)
    np.testing.assert_allclose(out[:, 6:], expected, rtol=1e-4, atol=1e-5)


def test_a_bottleneck_stands_before_the_convolution() -> None:
    layer = DenseLayer(6, 4, bottleneck=8)
    layer.eval()
    x = _image()
    inner = _convolved(_normalised(x, layer.before.norm), layer.reduce.conv.weight.numpy())
    expected = _convolved(_normalised(inner, layer.reduce.norm), layer.grow.conv.weight.numpy())
    np.testing.assert_allclose(layer(paddle.to_tensor(x)).numpy()[:, 6:], expected, rtol=1e-4, atol=1e-5)


def test_dropping_spares_what_was_there() -> None:
    paddle.seed(0)
    x = _image(batch=64)
    for layer in (DenseLayer(6, 4, dropout=0.5), DenseLayer(6, 4, drop_path=0.5)):
        out = layer(paddle.to_tensor(x)).numpy()
        np.testing.assert_array_equal(out[:, :6], x)
        assert 0.4 < (out[:, 6:] == 0).mean() < 0.6
    dropped = (out[:, 6:] == 0).reshape(64, -1)
    assert (dropped.all(axis=1) | ~dropped.any(axis=1)).all()


def test_a_transition_halves_the_image_by_its_mean() -> None:
    layer = Transition(6, 3)
    layer.eval()
    x = _image(size=5)
    inner = _convolved(_normalised(x, layer.before.norm), layer.reduce.conv.weight.numpy())
    expected = inner[:, :, :4, :4].reshape(2, 3, 2, 2, 2, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(layer(paddle.to_tensor(x)).numpy(), expected, rtol=1e-4, atol=1e-5)
