"""Gates and gated blocks against their formulas."""

import numpy as np
import paddle
import pytest

from ppresnet.errors import ConfigError
from ppresnet.layers.gated_blocks import HighwayBlock, SparseGatedBlock
from ppresnet.layers.gates import SparseGate, TransformGate, open_shares


def _input(channels: int = 6) -> paddle.Tensor:
    return paddle.to_tensor(np.random.default_rng(0).standard_normal((4, channels, 5, 5)).astype(np.float32))


@pytest.mark.parametrize(("skip", "width", "stride"), [("identity", 6, 1), ("zero_pad", 9, 2), ("projection", 4, 2)])
def test_highway_mixes_the_transform_and_the_skip(skip: str, width: int, stride: int) -> None:
    block = HighwayBlock(6, (5, width), skip, stride)
    block.eval()
    x = _input()
    gate, carried, out = (part(x).numpy() for part in (block.gate, block.skip, block.branch))
    expected = gate * np.maximum(out, 0) + (1 - gate) * carried
    np.testing.assert_allclose(block(x).numpy(), expected, rtol=1e-4, atol=1e-5)
    assert gate.shape == expected.shape and (gate > 0).all() and (gate < 1).all()


def test_a_negative_bias_starts_a_highway_as_its_skip() -> None:
    paddle.seed(0)
    block = HighwayBlock(6, (6, 6), "identity", bias=-12.0)
    block.eval()
    np.testing.assert_allclose(block(_input()).numpy(), _input().numpy(), atol=2e-3)
    assert TransformGate(6, 6, 3, 1, -2.0)(paddle.zeros([1, 6, 2, 2])).numpy() == pytest.approx(1 / (1 + np.exp(2)))


@pytest.mark.parametrize(("over", "shape"), [("channel", [4, 6, 1, 1]), ("pixel", [4, 1, 5, 5])])
@pytest.mark.parametrize("training", [True, False])
def test_gates_below_the_threshold_are_zero_exactly(over: str, shape: list[int], training: bool) -> None:
    paddle.seed(1)
    layer = SparseGate(6, over, threshold=0.6, bias=0.4)
    layer.train() if training else layer.eval()
    x = _input()
    gate = layer.gate(x).numpy()
    soft = layer.act(layer.conv(layer.pool(x))).numpy()
    assert list(gate.shape) == shape
    assert 0 < (gate == 0).mean() < 1
    np.testing.assert_array_equal(gate == 0, soft < 0.6)
    np.testing.assert_array_equal(gate[gate > 0], soft[gate > 0])
    np.testing.assert_array_equal(layer(x).numpy(), x.numpy() * gate)


def test_the_gradient_goes_straight_through_a_closed_gate() -> None:
    layer = SparseGate(6, "channel", threshold=0.5, bias=-4.0)
    upstream = paddle.to_tensor(np.random.default_rng(2).standard_normal((4, 6, 1, 1)).astype(np.float32))
    hard = layer.gate(_input())
    assert not hard.numpy().any()
    (hard * upstream).sum().backward()
    found = layer.conv.weight.grad.numpy().copy()
    layer.clear_gradients()
    (layer.act(layer.conv(layer.pool(_input()))) * upstream).sum().backward()
    assert np.abs(found).max() > 0
    np.testing.assert_allclose(found, layer.conv.weight.grad.numpy(), rtol=1e-6)


def test_the_share_of_open_gates_is_that_of_the_last_pass() -> None:
    paddle.seed(1)
    block = SparseGatedBlock(6, (6, 6), "identity", over="pixel", threshold=0.6, bias=0.4)
    assert open_shares(block) == {}
    block.eval()
    block(_input())
    gate = block.skip[1].gate(block.skip[0](_input())).numpy()
    assert open_shares(block) == {"skip.1": pytest.approx((gate > 0).mean())}


def test_a_sparse_gated_block_gates_its_skip_alone() -> None:
    block = SparseGatedBlock(6, (6, 6), "identity", threshold=0.5, bias=-4.0)
    block.eval()
    np.testing.assert_array_equal(block(_input()).numpy(), np.maximum(block.branch(_input()).numpy(), 0))


@pytest.mark.parametrize("block", [HighwayBlock, SparseGatedBlock])
def test_a_skip_that_does_not_match_is_refused(block: type[paddle.nn.Layer]) -> None:
    with pytest.raises(ConfigError, match="identity skip needs a branch that keeps the shape"):
        block(6, (6, 7), "identity")
