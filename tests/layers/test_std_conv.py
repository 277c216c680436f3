"""Convolutions with standardised kernels, pixel by pixel in float64."""

import numpy as np
import paddle
import pytest
from relative import difference

from ppresnet.layers.std_conv import StdConv, StdConvNorm, same_padding


def _expected(x_CHW: np.ndarray, kernel_OIHW: np.ndarray, stride: int) -> np.ndarray:
    """Convolve with zeros where TensorFlow's SAME puts them: the output is ceil(size / stride), the odd zero last."""
    rows = kernel_OIHW.reshape(len(kernel_OIHW), -1)
    scaled = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-8)
    kernel, side = scaled.reshape(kernel_OIHW.shape), kernel_OIHW.shape[2]
    height, width = (int(np.ceil(size / stride)) for size in x_CHW.shape[1:])
    spare = [
        max(0, (out - 1) * stride + side - size) for out, size in zip((height, width), x_CHW.shape[1:], strict=True)
    ]
    padded = np.pad(x_CHW, ((0, 0), *((total // 2, total - total // 2) for total in spare)))
    out = np.zeros((len(kernel), height, width))
    for row in range(height):
        for column in range(width):
            patch = padded[:, row * stride : row * stride + side, column * stride : column * stride + side]
            out[:, row, column] = (kernel * patch).sum(axis=(1, 2, 3))
    return out


@pytest.mark.parametrize(
    ("kernel", "stride", "size"), [(1, 1, 5), (1, 2, 5), (3, 1, 6), (3, 2, 6), (3, 2, 7), (7, 2, 8), (7, 2, 9)]
)
def test_it_convolves_with_a_kernel_of_mean_zero_and_variance_one(kernel: int, stride: int, size: int) -> None:
    paddle.seed(0)
    layer = StdConv(3, 4, kernel, stride)
    layer.weight.set_value(layer.weight * 0.3 + 0.7)
    x = np.random.default_rng(0).standard_normal((2, 3, size, size + 1)).astype(np.float32)
    expected = np.stack([_expected(one, layer.weight.numpy().astype(np.float64), stride) for one in x])
    assert difference(layer(paddle.to_tensor(x)).numpy(), expected) <= 1e-4


def test_the_scale_and_the_shift_of_the_kernel_change_nothing() -> None:
    layer, x = StdConv(3, 4, 3), paddle.randn([1, 3, 5, 5])
    before = layer(x).numpy()
    layer.weight.set_value(layer.weight * 5.0 - 2.0)
    assert difference(layer(x).numpy(), before) <= 1e-4


def test_the_published_sizes_have_the_odd_zero_behind() -> None:
    assert same_padding(paddle.zeros([1, 1, 224, 224]), 7, 2) == [2, 3, 2, 3]
    assert same_padding(paddle.zeros([1, 1, 112, 56]), 3, 2) == [0, 1, 0, 1]


def test_the_unit_promises_nothing() -> None:
    assert not hasattr(StdConvNorm(3, 32, 3), "promise")
