"""Pre-activation networks: the block against float64 numpy, where dropout acts, the pyramid, learning and saving."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from bundles import enliven
from fixed_batch import batch, both_answers, losses
from narrow import narrow
from paddle import nn

from ppresnet.errors import ConfigError
from ppresnet.layers import PreActResidual
from ppresnet.models import build, create
from ppresnet.spec import spec_from_dict, spec_of

SIZES = {
    "cifar_preact_resnet110": 16,
    "cifar_preact_resnet164": 16,
    "cifar_preact_resnet1001": 16,
    "cifar_wrn16_8": 16,
    "cifar_wrn28_10": 16,
    "resnetv2_50": 64,
    "resnetv2_101": 64,
    "resnetv2_152": 64,
}


def _conv(x_NCHW: np.ndarray, layer: nn.Layer, stride: int) -> np.ndarray:
    kernel = layer.weight.numpy().astype(np.float64)
    border = kernel.shape[-1] // 2
    padded = np.pad(x_NCHW, ((0, 0), (0, 0), (border, border), (border, border)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows[:, :, ::stride, ::stride], kernel)


def _act_norm(x_NCHW: np.ndarray, norm: nn.Layer) -> np.ndarray:
    mean, variance, gamma, beta = (
        tensor.numpy().astype(np.float64)[:, None, None]
        for tensor in (norm._mean, norm._variance, norm.weight, norm.bias)
    )
    return np.maximum((x_NCHW - mean) / np.sqrt(variance + 1e-5) * gamma + beta, 0)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("strided", [0, 1])
@pytest.mark.parametrize(
    ("kind", "skip"), [("basic", "zero_pad"), ("basic", "projection"), ("bottleneck", "projection")]
)
def test_a_block_is_its_skip_plus_convolutions_behind_activations(
    kind: str, skip: str, strided: int, shared: bool
) -> None:
    widths = (5, 8) if kind == "basic" else (3, 5, 8)
    block = PreActResidual(kind, 4, widths, skip, stride=2, strided=strided, shared=shared)
    enliven(block)
    x = np.random.default_rng(0).standard_normal((2, 4, 6, 6)).astype(np.float32)
    activated = out = _act_norm(x.astype(np.float64), block.before.norm)
    for index, unit in enumerate(block.branch):
        out = _conv(out, unit.conv, 2 if index == strided else 1)
        out = _act_norm(out, unit.norm) if index < len(widths) - 1 else out
    carried = activated if shared else x
    identity = np.zeros((2, 8, 3, 3))
    identity[:, 2:6] = carried[:, :, ::2, ::2]
    if skip == "projection":
        identity = _conv(carried, block.skip.conv, 2)
    np.testing.assert_allclose(block(paddle.to_tensor(x)).numpy(), identity + out, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("widths", "strided"), [((8,), 0), ((8, 8, 8), 0), ((8, 8), 2)])
def test_parts_that_do_not_match_the_kind_are_refused(widths: tuple[int, ...], strided: int) -> None:
    with pytest.raises(ConfigError, match="a basic block has 2 convolutions; found the widths"):
        PreActResidual("basic", 8, widths, "identity", strided=strided)


def test_the_first_block_of_a_stage_shares_its_activation_and_no_other() -> None:
    for name in SIZES:
        for stage in spec_of(name).stages:
            assert [block.shared for block in stage] == [True] + [False] * (len(stage) - 1)


def test_dropout_of_a_wide_network_acts_between_the_convolutions() -> None:
    net = build(narrow("cifar_wrn28_10", dropout=0.4))
    seen = []
    last = net.stages[1][1].branch[-1]
    last.conv.register_forward_pre_hook(lambda _, given: seen.append(given[0].numpy()))
    last.dropout.register_forward_pre_hook(lambda _, given: seen.append(given[0].numpy()))
    images, _ = batch(net, 16)
    net.train()
    net(images)
    before, after = seen
    positive = before > 0
    assert (after[positive] == 0).mean() == pytest.approx(0.4, abs=0.03)
    kept = positive & (after > 0)
    np.testing.assert_allclose(after[kept], before[kept] / 0.6, rtol=1e-5)
    assert isinstance(net.head.dropout, nn.Identity)


def test_dropout_of_the_others_acts_before_the_classifier() -> None:
    net = build(narrow("resnetv2_50", dropout=0.4))
    assert isinstance(net.head.dropout, nn.Dropout)
    assert not any(isinstance(layer, nn.Dropout) for layer in net.stages.sublayers())


def test_overrides_reach_the_network() -> None:
    net = build(narrow("resnetv2_50", in_channels=1, act="silu", norm="group", drop_path=0.3))
    rates = [block.drop_path.rate for stage in net.stages for block in stage if hasattr(block.drop_path, "rate")]
    np.testing.assert_allclose(rates, np.arange(1, 8) * 0.3 / 7)
    assert not any(isinstance(layer, nn.ReLU | nn.BatchNorm2D) for layer in net.sublayers())
    assert net(paddle.zeros([2, 1, 32, 32])).shape == [2, 5]


def test_zero_init_gamma_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"zero_init_gamma: expected false .* no last gamma"):
        create("resnetv2_50", zero_init_gamma=True)


@pytest.mark.parametrize("name", ["resnetv2_50", "cifar_preact_resnet164"])
def test_the_pyramid_ends_in_what_the_head_takes(name: str) -> None:
    net = build(narrow(name))
    net.eval()
    images, _ = batch(net, 48)
    maps = net.features(images)
    side = [[level.channels, 48 // level.stride, 48 // level.stride] for level in net.pyramid]
    assert [feature.shape[1:] for feature in maps] == (side if name.startswith("cifar") else [*side[:-1], [256, 2, 2]])
    assert [level.stride for level in net.pyramid] == ([1, 2, 4] if name.startswith("cifar") else [4, 8, 16, 32])
    assert (maps[-1].numpy() >= 0).all()
    assert (maps[0].numpy() < 0).any()
    np.testing.assert_array_equal(net.head(maps[-1]).numpy(), net(images).numpy())


@pytest.mark.parametrize("name", list(SIZES))
def test_twenty_steps_halve_the_loss_and_a_checkpoint_keeps_the_answer(name: str, tmp_path: Path) -> None:
    paddle.seed(5)
    net = build(narrow(name))
    assert spec_from_dict(net.spec.model_dump(mode="json")) == net.spec
    course = losses(net, SIZES[name])
    assert course[-1] <= course[0] / 2, course
    np.testing.assert_array_equal(*both_answers(net, SIZES[name], tmp_path))
