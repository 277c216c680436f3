"""The moving average against its formula in float64."""

import numpy as np
import paddle
import pytest
from paddle import nn

from ppresnet.train.ema import Ema


def network() -> nn.Layer:
    paddle.seed(0)
    return nn.Sequential(nn.Conv2D(1, 2, 3), nn.BatchNorm2D(2))


def shift(model: nn.Layer, rng: np.random.Generator) -> dict[str, np.ndarray]:
    for tensor in model.state_dict().values():
        tensor.set_value(rng.standard_normal(tensor.shape).astype("float32"))
    return {name: tensor.numpy().astype("float64") for name, tensor in model.state_dict().items()}


def test_average_follows_the_formula_with_warm_up() -> None:
    model, rng = network(), np.random.default_rng(0)
    ema = Ema(model, decay=0.6)
    expected = {name: tensor.numpy().astype("float64") for name, tensor in model.state_dict().items()}
    for step in range(12):
        new = shift(model, rng)
        decay = min(0.6, (1 + step) / (10 + step))
        expected = {name: decay * expected[name] + (1 - decay) * new[name] for name in expected}
        ema.update()
    assert set(ema.state()) == set(expected) and "1._mean" in expected
    for name, value in ema.state().items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6)


def test_going_on_from_a_checkpoint_is_exact() -> None:
    model, rng = network(), np.random.default_rng(1)
    one = Ema(model, 0.9)
    for _ in range(3):
        shift(model, rng)
        one.update()
    two = Ema(model, 0.9, {name: value.copy() for name, value in one.state().items()}, one.steps)
    shift(model, rng)
    one.update()
    two.update()
    for name, value in one.state().items():
        np.testing.assert_array_equal(two.state()[name], value)


def test_evaluation_sees_the_average_and_the_network_comes_back() -> None:
    model, rng = network(), np.random.default_rng(2)
    ema = Ema(model, 0.9)
    own = shift(model, rng)
    with pytest.raises(ZeroDivisionError), ema.in_place():
        for name, tensor in model.state_dict().items():
            np.testing.assert_array_equal(tensor.numpy(), ema.state()[name])
        raise ZeroDivisionError
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), own[name].astype("float32"))
