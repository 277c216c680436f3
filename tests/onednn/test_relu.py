"""The ReLU of its own."""

import numpy as np
import paddle
import pytest
from paddle import nn
from resident import resident_mb

from ppresnet.onednn import Kernels


@pytest.mark.parametrize("shape", [[1, 1, 1, 1], [2, 3, 5, 7], [4, 16, 32, 32]])
def test_output_and_gradient_are_paddles(kernels: Kernels, shape: list[int]) -> None:
    random = np.random.default_rng(0)
    values = random.standard_normal(shape).astype("float32")
    values.flat[::3] = 0.0
    source = paddle.to_tensor(values, stop_gradient=False)
    gradient = paddle.to_tensor(random.standard_normal(shape).astype("float32"))
    found, expected = kernels.rectify(nn.ReLU(), source), nn.functional.relu(source)
    assert found is not None
    assert found.numpy().tolist() == expected.numpy().tolist()
    gradients = [paddle.grad(result, source, gradient)[0].numpy().tolist() for result in (found, expected)]
    assert gradients[0] == gradients[1]


def test_outputs_are_freed(kernels: Kernels) -> None:
    source = paddle.ones([8, 16, 64, 64])  # 2 MiB
    source.stop_gradient = False
    before = resident_mb()
    for _ in range(150):
        kernels.rectify(nn.ReLU(), source)
    assert resident_mb() < before + 100


def test_evaluation_and_other_shapes_are_left_to_paddle(kernels: Kernels) -> None:
    layer = nn.ReLU()
    assert kernels.rectify(layer, paddle.rand([4, 4])) is None
    layer.eval()
    assert kernels.rectify(layer, paddle.rand([1, 4, 4, 4])) is None
