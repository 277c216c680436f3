"""The gradient of weights from images side by side: what the kernel of single images gives."""

import numpy as np
import paddle
import pytest
from paddle import nn
from relative import largest_difference

from ppresnet.onednn import Kernels, Library, convolution
from ppresnet.onednn.api import BFLOAT16, FLOAT32
from ppresnet.onednn.convolution_kernels import ConvolutionShape
from ppresnet.onednn.strips import Strip, Strips, strip_of


def shape_of(batch: int, side: int, kernel: int = 3, **changes: object) -> ConvolutionShape:
    """A convolution of 32 channels that keeps the size."""
    pad = kernel // 2
    shape = ConvolutionShape(
        (batch, 32, side, side), (32, 32, kernel, kernel), False, (1, 1), (1, 1), (pad, pad), (pad, pad), 1
    )
    return shape._replace(**changes)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (shape_of(128, 6), Strip(16, 1)),
        (shape_of(128, 8), Strip(16, 1)),
        (shape_of(128, 16), Strip(8, 1)),
        (shape_of(128, 8, kernel=5), Strip(16, 2)),
        (shape_of(12, 8), Strip(4, 1)),
        (shape_of(127, 8), Strip(1, 1)),
        (shape_of(128, 17), Strip(1, 1)),
        (shape_of(128, 8, kernel=1), Strip(1, 0)),
        (shape_of(128, 8, groups=32, weights=(32, 1, 3, 3)), Strip(1, 1)),
        (shape_of(128, 8, strides=(2, 2)), Strip(1, 1)),
        (shape_of(128, 8, dilations=(2, 2)), Strip(1, 1)),
        (shape_of(128, 8, end=(2, 2)), Strip(1, 1)),
    ],
)
def test_only_short_rows_lie_side_by_side(shape: ConvolutionShape, expected: Strip) -> None:
    assert strip_of(shape) == expected


def gradients(kernels: Kernels, layer: nn.Conv2D, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    source = paddle.to_tensor(random.standard_normal((12, 32, 7, 7)).astype("float32"))
    result = kernels.convolve(layer, source)
    assert result is not None
    back = paddle.to_tensor(random.standard_normal(result.shape).astype("float32"))
    return [one.numpy() for one in paddle.grad(result, layer.parameters(), back)]


@pytest.mark.parametrize("kernel", [3, 5])
def test_gradients_are_those_of_single_images(library: Library, kernel: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Conv2D(32, 48, kernel, padding=kernel // 2)
    kernels = Kernels(library, BFLOAT16)
    found = [gradients(kernels, layer, seed) for seed in (0, 1, 0)]
    (plan,) = kernels.cache._values.values()
    if "amx" not in library.implementation(plan.backward_weights.descriptor):
        assert plan.strips is None
        pytest.skip("this CPU has no AMX, so that images stay alone")
    assert isinstance(plan.strips, Strips)
    assert [one.tobytes() for one in found[0]] == [one.tobytes() for one in found[2]]
    monkeypatch.setattr(convolution, "strips", lambda *_: None)
    alone = Kernels(library, BFLOAT16)
    for seed in (0, 1):
        assert largest_difference(found[seed], gradients(alone, layer, seed)) <= 1e-5


def test_float32_stays_as_it_is(library: Library) -> None:
    kernels = Kernels(library, FLOAT32)
    gradients(kernels, nn.Conv2D(32, 48, 3, padding=1), 0)
    assert [plan.strips for plan in kernels.cache._values.values()] == [None]
