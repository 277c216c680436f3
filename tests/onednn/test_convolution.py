"""Convolutions against Paddle's own in float64."""

from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paddle import nn
from relative import difference, largest_difference

from ppresnet.onednn import Kernels
from ppresnet.onednn.api import BFLOAT16


class Case(NamedTuple):
    batch: int
    channels: tuple[int, int]  # of one group, in and out
    groups: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int, int, int]  # above, below, left, right
    more: tuple[int, int]  # rows and columns beyond the smallest image
    bias: bool

    @property
    def image(self) -> list[int]:
        extents = [dilation * (kernel - 1) + 1 for dilation, kernel in zip(self.dilation, self.kernel, strict=True)]
        padded = [self.padding[0] + self.padding[1], self.padding[2] + self.padding[3]]
        return [max(1, extents[axis] - padded[axis]) + self.more[axis] for axis in (0, 1)]


def pairs(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(low, high), st.integers(low, high))


paddings = st.integers(0, 3)
cases = st.builds(
    Case,
    batch=st.integers(1, 4),
    channels=st.one_of(st.just((1, 1)), pairs(1, 20), st.sampled_from([(3, 64), (16, 16), (32, 48), (64, 16)])),
    groups=st.sampled_from([1, 1, 1, 2, 3, 8, 16]),
    kernel=st.one_of(st.sampled_from([(1, 1), (3, 3), (7, 7)]), pairs(1, 5)),
    stride=st.one_of(st.sampled_from([(1, 1), (2, 2)]), pairs(1, 3)),
    dilation=st.one_of(st.just((1, 1)), pairs(1, 3)),
    padding=st.one_of(paddings.map(lambda p: (p, p, p, p)), st.tuples(paddings, paddings, paddings, paddings)),
    more=pairs(0, 14),
    bias=st.booleans(),
)
one_fixture_for_all = [HealthCheck.function_scoped_fixture]


def layer_of(case: Case, seed: int = 0) -> tuple[nn.Conv2D, paddle.Tensor, np.ndarray]:
    """The layer, an input, and a gradient of its output; drawn around one half, so that sums are not small."""
    (inputs, outputs), groups, random = case.channels, case.groups, np.random.default_rng(seed)
    layer = nn.Conv2D(
        inputs * groups, outputs * groups, case.kernel, case.stride, list(case.padding),
        dilation=case.dilation, groups=groups, bias_attr=None if case.bias else False,
    )  # fmt: skip
    for parameter in layer.parameters():
        parameter.set_value(random.uniform(-0.5, 1.5, parameter.shape).astype("float32"))
    values = random.uniform(-0.5, 1.5, (case.batch, inputs * groups, *case.image)).astype("float32")
    source = paddle.to_tensor(values, stop_gradient=False)
    with paddle.no_grad():
        shape = layer(source).shape
    return layer, source, random.uniform(-0.5, 1.5, shape).astype("float32")


def in_float64(layer: nn.Conv2D, source: paddle.Tensor, gradient: np.ndarray, case: Case) -> list[np.ndarray]:
    inputs = [tensor.detach().astype("float64") for tensor in (source, *layer.parameters())]
    for tensor in inputs:
        tensor.stop_gradient = False
    image, weights, *bias = inputs
    result = F.conv2d(
        image, weights, bias[0] if bias else None, case.stride, list(case.padding), case.dilation, case.groups
    )
    gradients = paddle.grad(result, inputs, paddle.to_tensor(gradient.astype("float64")))
    return [tensor.numpy() for tensor in (result, *gradients)]


def by_onednn(kernels: Kernels, layer: nn.Conv2D, source: paddle.Tensor, gradient: np.ndarray) -> list[np.ndarray]:
    result = kernels.convolve(layer, source)
    assert result is not None
    gradients = paddle.grad(result, [source, *layer.parameters()], paddle.to_tensor(gradient))
    return [tensor.numpy() for tensor in (result, *gradients)]


def error_of(kernels: Kernels, case: Case) -> float:
    """The largest difference of the output and the gradients from those in float64."""
    layer, source, gradient = layer_of(case)
    found, expected = by_onednn(kernels, layer, source, gradient), in_float64(layer, source, gradient, case)
    assert [one.shape for one in found] == [one.shape for one in expected]
    return largest_difference(found, expected)


@settings(max_examples=60, suppress_health_check=one_fixture_for_all)
@given(case=cases)
def test_output_and_gradients_equal_float64(kernels: Kernels, case: Case) -> None:
    assert error_of(kernels, case) <= 1e-5


@pytest.mark.slow
@settings(max_examples=500, suppress_health_check=one_fixture_for_all)
@given(case=cases)
def test_output_and_gradients_equal_float64_in_many_shapes(kernels: Kernels, case: Case) -> None:
    assert error_of(kernels, case) <= 1e-5


PLAIN = Case(2, (32, 48), 1, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), (9, 8), True)


def test_same_bits_every_time(kernels: Kernels) -> None:
    layer, source, gradient = layer_of(PLAIN)
    first = by_onednn(kernels, layer, source, gradient)
    kernels.cache.clear()
    for one, other in zip(first, by_onednn(kernels, layer, source, gradient), strict=True):
        assert one.tobytes() == other.tobytes()


def test_bfloat16_rounds_inside_only(library: object) -> None:
    layer, source, gradient = layer_of(PLAIN)
    found = by_onednn(Kernels(library, BFLOAT16), layer, source, gradient)
    expected = in_float64(layer, source, gradient, PLAIN)
    assert {one.dtype for one in found} == {np.dtype("float32")}
    assert 1e-5 < largest_difference(found, expected) < 1e-2


def test_views_are_read_as_they_look(kernels: Kernels) -> None:
    layer, source, gradient = layer_of(PLAIN)
    turned = source.detach().transpose([0, 1, 3, 2]).contiguous().transpose([0, 1, 3, 2])
    turned.stop_gradient = False
    expected = by_onednn(kernels, layer, source, gradient)
    for one, other in zip(by_onednn(kernels, layer, turned, gradient), expected, strict=True):
        assert one.tobytes() == other.tobytes()


def test_gradient_may_come_as_a_view(kernels: Kernels) -> None:
    layer, source, _ = layer_of(PLAIN)
    weights = paddle.cos(paddle.arange(48, dtype="float32"))
    for result in (kernels.convolve(layer, source), layer(source)):
        (result.transpose([0, 2, 3, 1]) * weights).sum().backward()
    stock = paddle.grad((layer(source).transpose([0, 2, 3, 1]) * weights).sum(), layer.weight)[0]
    assert difference(layer.weight.grad.numpy(), 2 * stock.numpy()) <= 1e-5


@pytest.mark.parametrize("frozen", ["source", "weight", "bias"])
def test_nobody_gets_a_gradient_he_does_not_want(kernels: Kernels, frozen: str) -> None:
    layer, source, gradient = layer_of(PLAIN)
    tensors = {"source": source, "weight": layer.weight, "bias": layer.bias}
    tensors[frozen].stop_gradient = True
    result = kernels.convolve(layer, source)
    result.backward(paddle.to_tensor(gradient))
    assert tensors.pop(frozen).grad is None
    assert all(tensor.grad is not None for tensor in tensors.values())


def test_input_gradient_is_not_computed_for_nobody(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, source, gradient = layer_of(PLAIN)
    source.stop_gradient = True
    result = kernels.convolve(layer, source)
    (plan,) = kernels.cache._values.values()
    computed: list[object] = []
    monkeypatch.setattr(plan.backward_data, "run", lambda *given: computed.append(given))
    result.backward(paddle.to_tensor(gradient))
    assert computed == []
    expected = in_float64(layer, source, gradient, PLAIN)[2:]
    assert largest_difference([layer.weight.grad.numpy(), layer.bias.grad.numpy()], expected) <= 1e-5


@pytest.mark.parametrize(
    "change",
    [
        {"data_format": "NHWC"},
        {"padding": "SAME"},
        {"padding_mode": "circular"},
    ],
)
def test_other_convolutions_are_left_to_paddle(kernels: Kernels, change: dict[str, str]) -> None:
    layer = nn.Conv2D(4, 4, 3, **{"padding": 1, **change})
    assert kernels.convolve(layer, paddle.rand([1, 4, 4, 4])) is None


@pytest.mark.parametrize("shape", [[0, 4, 8, 8], [1, 5, 8, 8], [1, 4, 1, 1], [4, 8, 8]])
def test_wrong_inputs_are_left_to_paddle(kernels: Kernels, shape: list[int]) -> None:
    assert kernels.convolve(nn.Conv2D(4, 4, 3), paddle.zeros(shape)) is None
    assert kernels.convolve(nn.Conv2D(4, 4, 1), paddle.zeros([1, 4, 2, 2], "float64")) is None
