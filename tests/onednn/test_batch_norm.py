"""Batch normalisation against the formulas in float64."""

import numpy as np
import paddle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paddle import nn
from relative import difference

from ppresnet.onednn import Kernels

sides = st.integers(1, 12)
shapes = st.tuples(st.integers(1, 5), st.sampled_from([1, 3, 8, 16, 24, 40]), sides, sides).filter(
    lambda shape: shape[0] * shape[2] * shape[3] > 3
)
one_fixture_for_all = [HealthCheck.function_scoped_fixture]


def formulas(x: np.ndarray, scale: np.ndarray, shift: np.ndarray, gradient: np.ndarray, epsilon: float) -> dict:
    """Ioffe and Szegedy 2015, algorithm 1 and the gradients after it, in float64."""
    x, gradient = x.astype(np.float64), gradient.astype(np.float64)
    axes, over = (0, 2, 3), (None, slice(None), None, None)
    mean, variance = x.mean(axes), x.var(axes)
    inverse = 1 / np.sqrt(variance + epsilon)
    normal = (x - mean[over]) * inverse[over]
    scale_gradient, shift_gradient = (gradient * normal).sum(axes), gradient.sum(axes)
    count = x.size / x.shape[1]
    mean_terms = (shift_gradient[over] + normal * scale_gradient[over]) / count
    return {
        "output": normal * scale[over] + shift[over],
        "source": (gradient - mean_terms) * (scale * inverse)[over],
        "scale": scale_gradient,
        "shift": shift_gradient,
        "mean": mean,
        "variance": variance,
    }


def layer_of(shape: tuple[int, ...], momentum: float) -> tuple[nn.BatchNorm2D, paddle.Tensor, np.ndarray]:
    random = np.random.default_rng(sum(shape))
    layer = nn.BatchNorm2D(shape[1], momentum=momentum)
    for parameter in (layer.weight, layer.bias, layer._mean, layer._variance):
        parameter.set_value(random.uniform(0.5, 1.5, parameter.shape).astype("float32"))
    source = paddle.to_tensor(random.normal(0.5, 2.0, shape).astype("float32"), stop_gradient=False)
    return layer, source, random.normal(0.2, 1.0, shape).astype("float32")


def errors_of(kernels: Kernels, shape: tuple[int, ...], momentum: float) -> dict[str, float]:
    """The differences of output, gradients and running statistics from those of the formulas."""
    layer, source, gradient = layer_of(shape, momentum)
    running = {name: getattr(layer, f"_{name}").numpy().astype(np.float64) for name in ("mean", "variance")}
    expected = formulas(source.numpy(), layer.weight.numpy(), layer.bias.numpy(), gradient, layer._epsilon)
    result = kernels.normalise(layer, source)
    inputs = [source, layer.weight, layer.bias]
    found = [result, *paddle.grad(result, inputs, paddle.to_tensor(gradient))]
    errors = {}
    for name, tensor in zip(("output", "source", "scale", "shift"), found, strict=True):
        # The gradient of few values is what is left of large terms: it is compared with the size of those.
        reference = np.append(expected[name].ravel(), np.abs(gradient).max())
        errors[name] = difference(np.append(tensor.numpy().ravel(), reference[-1]), reference)
    for name, before in running.items():
        moved = before * momentum + expected[name] * (1 - momentum)
        errors[name] = difference(getattr(layer, f"_{name}").numpy(), moved)
    return errors


@settings(max_examples=60, suppress_health_check=one_fixture_for_all)
@given(shape=shapes, momentum=st.sampled_from([0.0, 0.9, 0.99]))
def test_output_gradients_and_statistics_equal_float64(
    kernels: Kernels, shape: tuple[int, ...], momentum: float
) -> None:
    errors = errors_of(kernels, shape, momentum)
    assert all(error <= 1e-5 for error in errors.values()), errors


@pytest.mark.slow
@settings(max_examples=500, suppress_health_check=one_fixture_for_all)
@given(shape=shapes, momentum=st.floats(0, 1, width=16))
def test_output_gradients_and_statistics_equal_float64_in_many_shapes(
    kernels: Kernels, shape: tuple[int, ...], momentum: float
) -> None:
    errors = errors_of(kernels, shape, momentum)
    assert all(error <= 1e-5 for error in errors.values()), errors


def test_statistics_move_as_paddles_own(kernels: Kernels) -> None:
    ours, source, _ = layer_of((4, 16, 9, 7), 0.9)
    stock = layer_of((4, 16, 9, 7), 0.9)[0]
    for _ in range(5):
        kernels.normalise(ours, source)
        stock(source)
    assert difference(ours._mean.numpy(), stock._mean.numpy()) <= 1e-6
    assert difference(ours._variance.numpy(), stock._variance.numpy()) <= 1e-6
    biased = source.numpy().astype(np.float64).var((0, 2, 3))
    first = layer_of((4, 16, 9, 7), 0.9)[0]._variance.numpy()
    assert difference(stock._variance.numpy(), first * 0.9**5 + biased * (1 - 0.9**5)) <= 1e-5


def test_frozen_statistics_are_used_and_stay(kernels: Kernels) -> None:
    """Against y = (x - mean) / sqrt(variance + epsilon) * scale + shift, in float64."""
    layer, source, gradient = layer_of((4, 16, 9, 7), 0.9)
    layer._use_global_stats = True
    mean, variance, scale, shift = (
        one.numpy().astype(np.float64)[:, None, None]
        for one in (layer._mean, layer._variance, layer.weight, layer.bias)
    )
    normal = (source.numpy() - mean) / np.sqrt(variance + layer._epsilon)
    result = kernels.normalise(layer, source)
    found = [result, *paddle.grad(result, [source, layer.weight, layer.bias], paddle.to_tensor(gradient))]
    expected = [
        normal * scale + shift,
        gradient * scale / np.sqrt(variance + layer._epsilon),
        (gradient * normal).sum((0, 2, 3)),
        gradient.astype(np.float64).sum((0, 2, 3)),
    ]
    for one, other in zip(found, expected, strict=True):
        assert difference(one.numpy(), other) <= 1e-5
    assert (layer._mean.numpy() == mean.ravel().astype("float32")).all()
    assert (layer._variance.numpy() == variance.ravel().astype("float32")).all()


@pytest.mark.parametrize("change", [{"weight_attr": False}, {"data_format": "NHWC"}])
def test_other_normalisations_are_left_to_paddle(kernels: Kernels, change: dict) -> None:
    assert kernels.normalise(nn.BatchNorm2D(4, **change), paddle.rand([2, 4, 4, 4])) is None


def test_one_value_a_channel_is_left_to_paddle_which_passes_it_on(kernels: Kernels) -> None:
    layer, source = nn.BatchNorm2D(4), paddle.randn([1, 4, 1, 1])
    assert kernels.normalise(layer, source) is None
    layer._use_global_stats = True
    assert kernels.normalise(layer, source) is not None
