"""Blocks against the formula act(skip(x) + branch(x))."""

import numpy as np
import paddle
import pytest

from ppresnet.errors import ConfigError
from ppresnet.layers import BasicBlock, Bottleneck, ConvNorm, DropPath, PlainBlock, basic_branch


def _input() -> paddle.Tensor:
    paddle.seed(3)
    return paddle.randn([2, 8, 5, 5])


@pytest.mark.parametrize("act", ["relu", "leaky_relu", "silu", "gelu"])
def test_residual_is_the_activation_of_the_sum(act: str) -> None:
    block = Bottleneck(8, (4, 4, 8), "identity", act=act)
    block.eval()
    x = _input()
    total = x.numpy() + block.branch(x).numpy()
    expected = getattr(paddle.nn.functional, act)(paddle.to_tensor(total)).numpy()
    np.testing.assert_allclose(block(x).numpy(), expected, rtol=1e-6, atol=1e-6)


def test_the_last_convolution_of_a_branch_has_no_activation() -> None:
    block = BasicBlock(8, (8, 8), "identity")
    block.eval()
    assert (block.branch(_input()).numpy() < 0).any()


def test_the_skip_of_a_block_has_no_nonlinearity() -> None:
    block = BasicBlock(8, (16, 16), "projection", stride=2)
    block.eval()
    x = _input()
    np.testing.assert_allclose(block.skip(-x).numpy(), -block.skip(x).numpy(), rtol=1e-5, atol=1e-6)


def test_plain_block_has_no_skip() -> None:
    block = PlainBlock(basic_branch(8, (8, 8), 1, 1, "relu"), "relu")
    block.eval()
    block.branch[-1].norm.weight.set_value(paddle.zeros([8]))
    assert not block(_input()).numpy().any()


def test_wrong_number_of_widths_is_refused() -> None:
    with pytest.raises(ConfigError, match="a bottleneck block needs 3 widths"):
        Bottleneck(8, (8, 8), "identity")


def test_groups_that_do_not_divide_the_channels_are_refused() -> None:
    with pytest.raises(ConfigError, match="3 groups"):
        ConvNorm(8, 8, 3, groups=3)


def test_kaiming_fan_out() -> None:
    paddle.seed(0)
    kernel = ConvNorm(64, 128, 3).conv.weight.numpy()
    assert kernel.std() == pytest.approx(np.sqrt(2 / (128 * 9)), rel=0.02)


def test_drop_path_drops_samples_and_keeps_the_mean() -> None:
    layer = DropPath(0.25)
    paddle.seed(0)
    out = layer(paddle.ones([4000, 1, 2, 2])).numpy()
    assert {0.0, np.float32(1 / 0.75)} == set(np.unique(out).tolist())
    assert (out.min(axis=(1, 2, 3)) == out.max(axis=(1, 2, 3))).all()
    assert out.mean() == pytest.approx(1.0, abs=0.03)
    layer.eval()
    assert (layer(paddle.ones([8, 1])).numpy() == 1).all()
