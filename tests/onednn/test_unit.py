"""A convolution, a normalisation and an activation run as one, against Paddle's own in float64."""

import numpy as np
import paddle
import pytest
from paddle import nn
from relative import difference

from ppresnet.layers import ConvNorm
from ppresnet.onednn import Kernels, Library
from ppresnet.onednn.api import BFLOAT16


def run(layer: ConvNorm, source: np.ndarray, kernels: Kernels | None) -> list[np.ndarray]:
    """Output, gradients of the input and of the parameters, running statistics."""
    tensor = paddle.to_tensor(source, stop_gradient=False)
    result = layer(tensor) if kernels is None else kernels.run_unit(layer, tensor)
    assert result is not None
    gradient = paddle.cos(paddle.arange(result.size, dtype="float32")).reshape(result.shape)
    wanted = [tensor, layer.conv.weight, layer.norm.weight, layer.norm.bias]
    gradients = paddle.grad(result, wanted, gradient.astype(result.dtype))
    return [one.numpy() for one in (result, *gradients, layer.norm._mean, layer.norm._variance)]


def unit_of(channels: tuple[int, int], kernel: int, stride: int, groups: int, act: str | None) -> ConvNorm:
    paddle.seed(3)
    layer = ConvNorm(*channels, kernel, stride, groups, act)
    layer.norm.weight.set_value(paddle.uniform(layer.norm.weight.shape, min=0.5, max=1.5))
    layer.norm.bias.set_value(paddle.uniform(layer.norm.bias.shape, min=-0.5, max=0.5))
    return layer


def in_float64(layer: ConvNorm, source: np.ndarray) -> list[np.ndarray]:
    wide = ConvNorm(layer.conv._in_channels, layer.conv._out_channels, layer.conv._kernel_size[0],
                    layer.conv._stride[0], layer.conv._groups)  # fmt: skip
    wide.act = layer.act
    wide.to(dtype="float64")
    for name, value in layer.state_dict().items():
        wide.state_dict()[name].set_value(value.numpy().astype("float64"))
    return run(wide, source.astype("float64"), None)


@pytest.mark.parametrize("act", ["relu", None, "silu"])
@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "groups", "size"),
    [
        ((3, 64), 7, 2, 1, 17),
        ((16, 32), 3, 1, 1, 8),
        ((64, 16), 1, 2, 1, 9),
        ((24, 24), 3, 1, 24, 6),
        ((20, 30), 3, 2, 5, 7),
    ],
)
def test_unit_equals_its_parts(
    kernels: Kernels, channels: tuple[int, int], kernel: int, stride: int, groups: int, size: int, act: str | None
) -> None:
    layer = unit_of(channels, kernel, stride, groups, act)
    source = np.random.default_rng(1).standard_normal((3, channels[0], size, size + 2)).astype("float32")
    expected = in_float64(layer, source)
    for one, other in zip(run(layer, source, kernels), expected, strict=True):
        assert difference(one, other) <= 1e-5


def test_bfloat16_keeps_statistics_and_weights_in_float32(library: Library) -> None:
    layer = unit_of((16, 32), 3, 1, 1, "relu")
    source = np.random.default_rng(1).standard_normal((8, 16, 12, 12)).astype("float32")
    expected = in_float64(layer, source)
    for one, other in zip(run(layer, source, Kernels(library, BFLOAT16)), expected, strict=True):
        assert one.dtype == np.float32
        assert 1e-6 < np.linalg.norm(one - other) / np.linalg.norm(other) < 0.1


def test_same_bits_every_time(kernels: Kernels) -> None:
    source = np.random.default_rng(1).standard_normal((8, 16, 12, 12)).astype("float32")
    first, second = (run(unit_of((16, 32), 3, 1, 1, "relu"), source, kernels) for _ in range(2))
    assert [one.tobytes() for one in first] == [one.tobytes() for one in second]


@pytest.mark.parametrize("part", ["conv", "norm", "act"])
def test_parts_that_someone_watches_are_run_alone(enabled: Kernels, part: str) -> None:
    layer, seen = unit_of((16, 32), 3, 1, 1, "relu"), []
    getattr(layer, part).register_forward_post_hook(lambda _, inputs, output: seen.append(output.shape))
    layer(paddle.rand([2, 16, 6, 6]))
    assert seen == [[2, 32, 6, 6]]


def test_replaced_parts_are_run_alone(enabled: Kernels) -> None:
    class Doubled(nn.Conv2D):
        def forward(self, x: paddle.Tensor) -> paddle.Tensor:
            return 2 * super().forward(x)

    layer = unit_of((16, 16), 3, 1, 1, None)
    layer.conv = Doubled(16, 16, 3, padding=1, bias_attr=False)
    layer.norm = nn.Identity()
    source = paddle.rand([2, 16, 6, 6])
    result = layer(source)
    assert difference(result.numpy(), 2 * nn.functional.conv2d(source, layer.conv.weight, padding=1).numpy()) <= 1e-5
