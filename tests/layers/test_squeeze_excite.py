"""Squeeze and excitation against numpy in float64, and where it stands in a block."""

import numpy as np
import paddle
import pytest

from ppresnet.errors import ConfigError
from ppresnet.layers import BasicBlock, Bottleneck, PlainBlock, SqueezeExcite, basic_branch
from ppresnet.layers.sites import promised_sites

GATES = {"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1)}


def _image(channels: int = 6) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, channels, 5, 4)).astype(np.float32)


def _dense(layer: paddle.nn.Layer, x_NC: np.ndarray) -> np.ndarray:
    weight = layer.weight.numpy().astype(np.float64)[:, :, 0, 0]
    return x_NC @ weight.T + layer.bias.numpy().astype(np.float64)


def _expected(layer: SqueezeExcite, x_NCHW: np.ndarray, gate: str) -> np.ndarray:
    hidden = np.maximum(_dense(layer.reduce, x_NCHW.astype(np.float64).mean(axis=(2, 3))), 0)
    return x_NCHW * GATES[gate](_dense(layer.expand, hidden))[:, :, None, None]


@pytest.mark.parametrize("gate", list(GATES))
@pytest.mark.parametrize("bias", [-4.0, 0.0, 4.0])  # at both ends a hard sigmoid is flat
def test_channels_are_scaled_by_the_gate(gate: str, bias: float) -> None:
    paddle.seed(1)
    layer = SqueezeExcite(6, 3, gate)
    layer.expand.bias.set_value(paddle.full([6], bias) + paddle.arange(6, dtype="float32") * 0.1)
    x = _image()
    np.testing.assert_allclose(layer(paddle.to_tensor(x)).numpy(), _expected(layer, x, gate), rtol=1e-5, atol=1e-6)


def test_unknown_gate_is_named() -> None:
    with pytest.raises(ConfigError, match="unknown gate 'tanh'; expected one of sigmoid, hard_sigmoid"):
        SqueezeExcite(6, 3, "tanh")


@pytest.mark.parametrize("skip", ["identity", "projection"])
def test_in_a_block_the_branch_is_scaled_and_the_skip_is_not(skip: str) -> None:
    block = Bottleneck(6, (4, 4, 6), skip, se=3)
    block.eval()
    x = paddle.to_tensor(_image())
    total = block.skip(x).numpy() + _expected(block.se, block.branch(x).numpy(), "sigmoid")
    np.testing.assert_allclose(block(x).numpy(), np.maximum(total, 0), rtol=1e-5, atol=1e-5)


def test_in_a_plain_block_the_branch_is_scaled() -> None:
    block = PlainBlock(basic_branch(6, (4, 6), 1, 1, "relu"), "relu", se=3)
    block.eval()
    x = paddle.to_tensor(_image())
    expected = np.maximum(_expected(block.se, block.branch(x).numpy(), "sigmoid"), 0)
    np.testing.assert_allclose(block(x).numpy(), expected, rtol=1e-5, atol=1e-5)


def test_a_gated_branch_does_not_promise_to_take_the_sum() -> None:
    patterns = [site.pattern for site in promised_sites(BasicBlock(6, (6, 6), "identity", se=3))]
    assert patterns == ["conv+bn+act", "conv+bn"]
    assert promised_sites(BasicBlock(6, (6, 6), "identity"))[-1].pattern == "conv+bn+residual+act"
