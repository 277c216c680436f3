"""The loss scale, with injected overflows."""

import numpy as np
import paddle
from paddle import nn

from ppresnet.train.scaling import LossScale


def test_halves_after_an_overflow_and_doubles_after_good_steps() -> None:
    scale = LossScale(scale=1024.0, growth_steps=3)
    scales = []
    for overflowed in (False, False, True, False, False, False, False, True, True):
        scale.update(overflowed)
        scales.append(scale.scale)
    assert scales == [1024, 1024, 512, 512, 512, 1024, 1024, 512, 256]
    assert LossScale(**scale.to_dict()) == scale


def test_never_falls_below_one() -> None:
    scale = LossScale(scale=1.5, growth_steps=1)
    scale.update(True)
    scale.update(True)
    assert scale.scale == 1.0


def test_gradients_are_divided_once() -> None:
    layer = nn.Linear(3, 2)
    inputs = paddle.to_tensor(np.ones((4, 3), "float32"))
    layer(inputs).sum().backward()
    plain = layer.weight.grad.numpy().copy()
    layer.clear_gradients()
    scale = LossScale(scale=256.0, growth_steps=10)
    (layer(inputs).sum() * scale.scale).backward()
    scale.unscale(layer)
    np.testing.assert_array_equal(layer.weight.grad.numpy(), plain)
