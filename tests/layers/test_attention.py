"""Attention and the encoder block against the formulas, head by head in float64."""

import math

import numpy as np
import paddle
import pytest

from ppresnet.layers.attention import Attention, EncoderBlock

WIDTH, LENGTH = 6, 5


def _tokens() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, LENGTH, WIDTH)).astype(np.float32)


def _weights(layer: paddle.nn.Layer) -> dict[str, np.ndarray]:
    """Give every parameter a value that shows in the output, and return them in float64."""
    rng = np.random.default_rng(1)
    for parameter in layer.parameters():
        parameter.set_value(rng.normal(0.2, 0.5, parameter.shape).astype(np.float32))
    return {name: tensor.numpy().astype(np.float64) for name, tensor in layer.state_dict().items()}


def _attention(x_LC: np.ndarray, weights: dict[str, np.ndarray], heads: int, head_dim: int, prefix: str) -> np.ndarray:
    qkv = x_LC @ weights[f"{prefix}qkv.weight"] + weights[f"{prefix}qkv.bias"]
    inner, outputs = heads * head_dim, []
    for head in range(heads):
        columns = slice(head * head_dim, (head + 1) * head_dim)
        query, key, value = (qkv[:, part * inner : (part + 1) * inner][:, columns] for part in range(3))
        scores = np.exp(query @ key.T / np.sqrt(head_dim))
        outputs.append(scores / scores.sum(axis=1, keepdims=True) @ value)
    return np.concatenate(outputs, axis=1) @ weights[f"{prefix}proj.weight"] + weights[f"{prefix}proj.bias"]


def _normalised(x_LC: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    centred = x_LC - x_LC.mean(axis=1, keepdims=True)
    return centred / np.sqrt(x_LC.var(axis=1, keepdims=True) + 1e-6) * gamma + beta


@pytest.mark.parametrize(("heads", "head_dim"), [(2, 3), (1, 6), (3, 5)])
def test_attention_is_the_formula(heads: int, head_dim: int) -> None:
    layer = Attention(WIDTH, heads, head_dim)
    weights, x = _weights(layer), _tokens()
    expected = np.stack([_attention(x_LC, weights, heads, head_dim, "") for x_LC in x.astype(np.float64)])
    np.testing.assert_allclose(layer(paddle.to_tensor(x)).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_an_encoder_block_adds_each_branch_to_its_input() -> None:
    layer = EncoderBlock(WIDTH, 2, 3, 7)
    weights, x = _weights(layer), _tokens()
    expected = []
    for x_LC in x.astype(np.float64):
        normed = _normalised(x_LC, weights["norm1.weight"], weights["norm1.bias"])
        x_LC = x_LC + _attention(normed, weights, 2, 3, "attn.")
        normed = _normalised(x_LC, weights["norm2.weight"], weights["norm2.bias"])
        hidden = normed @ weights["mlp.fc1.weight"] + weights["mlp.fc1.bias"]
        hidden = hidden * (1 + np.vectorize(math.erf)(hidden / np.sqrt(2))) / 2
        expected.append(x_LC + hidden @ weights["mlp.fc2.weight"] + weights["mlp.fc2.bias"])
    np.testing.assert_allclose(layer(paddle.to_tensor(x)).numpy(), np.stack(expected), rtol=1e-4, atol=1e-5)


def test_no_token_knows_its_place() -> None:
    layer = EncoderBlock(WIDTH, 2, 3, 7)
    x, order = paddle.to_tensor(_tokens()), [3, 0, 4, 1, 2]
    np.testing.assert_allclose(layer(x[:, order]).numpy(), layer(x).numpy()[:, order], rtol=1e-4, atol=1e-6)


def test_a_dropped_block_is_an_identity() -> None:
    paddle.seed(0)
    layer = EncoderBlock(WIDTH, 2, 3, 7, drop_path=0.5)
    x = paddle.to_tensor(np.repeat(_tokens()[:1], 64, axis=0))
    kept = (np.abs((layer(x) - x).numpy()).max(axis=(1, 2)) > 0).mean()
    assert 0.5 < kept < 0.95  # one of two branches or both: 3/4 are expected
    layer.eval()
    assert (np.abs((layer(x) - x).numpy()).max(axis=(1, 2)) > 0).all()
