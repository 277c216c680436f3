"""Vision transformers: counts by hand, their tokens, what can be overridden, learning and saving."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from counted import counted
from fixed_batch import STEPS, batch, both_answers
from paddle import nn

from ppresnet.errors import ConfigError, RequestError
from ppresnet.layers import DropPath
from ppresnet.models import build, cost, create
from ppresnet.models.names import NAMES
from ppresnet.spec import HybridBlockSpec, ViTSpec, spec_from_dict, spec_of

NAMES_OF_ALL = (
    "vit_tiny_patch16_224",
    "vit_small_patch16_224",
    "vit_base_patch16_224",
    "vit_tiny_r_s16_p8_224",
    "vit_small_r26_s32_224",
)
HYBRIDS = NAMES_OF_ALL[3:]


def small(name: str, size: int = 64, **overrides: object) -> ViTSpec:
    """Return two blocks of a model with a quarter of its channels, and a stem of one narrow block in each stage."""
    spec = spec_of(name, **({"num_classes": 5, "input_size": size} | overrides))
    assert isinstance(spec, ViTSpec)
    blocks = tuple(block.model_copy(update={"head_dim": 16, "mlp": block.mlp // 4}) for block in spec.blocks[:2])
    if spec.stem is not None:
        stages = tuple(tuple(_narrow(block) for block in stage[:1]) for stage in spec.stem.stages)
        spec = spec.model_copy(update={"stem": spec.stem.model_copy(update={"width": 8, "stages": stages})})
    return spec.model_copy(update={"width": spec.width // 4, "blocks": blocks})


def _losses(net: nn.Layer) -> list[float]:
    """Return the loss before each of twenty steps of AdamW, with which transformers are trained, and after the last."""
    images, labels = batch(net, 64)
    optimizer = paddle.optimizer.AdamW(1e-3, parameters=net.parameters())
    course = []
    for _ in range(STEPS + 1):
        loss = nn.functional.cross_entropy(net(images), labels)
        course.append(float(loss))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
    return course


def _narrow(block: HybridBlockSpec) -> HybridBlockSpec:
    return block.model_copy(update={"widths": tuple(width // 8 for width in block.widths)})


@pytest.mark.parametrize(("name", "width"), [(NAMES_OF_ALL[0], 192), (NAMES_OF_ALL[1], 384), (NAMES_OF_ALL[2], 768)])
def test_counts_by_hand(name: str, width: int) -> None:
    price, tokens, patch = cost(spec_of(name)), 197, 3 * 16 * 16
    block = 12 * width**2 + 13 * width  # qkv 3, proj 1 and MLP 8 squares; 9 of biases and 4 of normalisations
    assert price.params == (patch + 1) * width + (1 + tokens) * width + 12 * block + 2 * width + 1000 * (width + 1)
    assert price.macs == 196 * patch * width + 12 * tokens * 12 * width**2 + 1000 * width


@pytest.mark.parametrize("name", NAMES_OF_ALL)
def test_cost_equals_a_count_by_running(name: str) -> None:
    spec = small(name, 96, in_channels=2)
    price = cost(spec)
    assert (price.params, price.macs) == counted(build(spec), 96, 96)


def test_the_stem_alone_reaches_the_stride_by_its_patch() -> None:
    assert [spec_of(name).stride for name in NAMES_OF_ALL] == [16, 16, 16, 32, 32]
    assert [spec_of(name).grid for name in NAMES_OF_ALL] == [14, 14, 14, 7, 7]


@pytest.mark.parametrize("name", NAMES_OF_ALL)
def test_twenty_steps_halve_the_loss_and_a_checkpoint_keeps_the_answer(name: str, tmp_path: Path) -> None:
    paddle.seed(5)
    net = build(small(name))
    course = _losses(net)
    assert course[-1] <= course[0] / 2, course
    np.testing.assert_array_equal(*both_answers(net, 64, tmp_path))


@pytest.mark.parametrize("name", [NAMES_OF_ALL[0], *HYBRIDS])
def test_the_logits_come_from_the_first_token_and_the_map_from_the_others(name: str) -> None:
    net = build(small(name))
    net.eval()
    images, _ = batch(net, 64)
    tokens: list[np.ndarray] = []
    net.norm.register_forward_post_hook(lambda layer, given, output: tokens.append(output.numpy()))
    logits, (found,) = net(images).numpy(), net.features(images)
    expected = tokens[0][:, 0] @ net.head.fc.weight.numpy() + net.head.fc.bias.numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    (level,), grid = net.pyramid, 64 // net.spec.stride
    assert (level.channels, level.stride) == (net.spec.width, net.spec.stride)
    np.testing.assert_array_equal(
        found.numpy().reshape(8, level.channels, grid**2), tokens[1][:, 1:].transpose(0, 2, 1)
    )


def test_a_narrower_spec_is_a_pruned_network() -> None:
    spec = small("vit_tiny_patch16_224")
    first = spec.blocks[0].model_copy(update={"heads": 2, "mlp": 37})
    net = build(spec.model_copy(update={"blocks": (first, spec.blocks[1])}))
    assert net.stages[0][0].attn.qkv.weight.shape == [48, 3 * 2 * 16]
    assert net.stages[0][0].mlp.fc1.weight.shape == [48, 37]
    assert net(paddle.zeros([1, 3, 64, 64])).shape == [1, 5]


def test_overrides_reach_the_network() -> None:
    net = build(small("vit_tiny_patch16_224", in_channels=1, act="silu", dropout=0.5, drop_path=0.2))
    assert isinstance(net.head.dropout, nn.Dropout)
    assert [layer.rate for layer in net.sublayers() if isinstance(layer, DropPath)] == [0.2]
    assert isinstance(net.stages[0][0].mlp.act, nn.Swish)
    net = build(small("vit_small_r26_s32_224", norm="batch"))
    assert sum(isinstance(layer, nn.BatchNorm2D) for layer in net.sublayers()) == 1 + 4 * (3 + 1)
    assert sum(isinstance(layer, nn.LayerNorm) for layer in net.sublayers()) == 2 * 2 + 1


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("vit_tiny_patch16_224", {"norm": "batch"}, "model.norm: .*expected layer, found batch"),
        ("vit_tiny_patch16_224", {"zero_init_gamma": True}, "model.zero_init_gamma"),
        ("vit_tiny_patch16_224", {"input_size": 40}, "multiple of 16 pixels.*found 40"),
        ("vit_small_r26_s32_224", {"input_size": 48}, "multiple of 32 pixels.*found 48"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, overrides: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        spec_of(name, **overrides)


def test_a_block_of_the_stem_whose_skip_does_not_fit_is_refused() -> None:
    spec = small("vit_small_r26_s32_224")
    assert spec.stem is not None
    wrong = spec.stem.model_copy(update={"stages": ((HybridBlockSpec(widths=(4, 4, 9), skip="identity"),),)})
    with pytest.raises(ConfigError, match="8 channels in, 9 out"):
        build(spec.model_copy(update={"stem": wrong, "patch": 8}))


def test_another_image_size_is_refused() -> None:
    with pytest.raises(RequestError, match=r"4 x 4 patches, found 2 x 2"):
        build(small("vit_tiny_patch16_224"))(paddle.zeros([1, 3, 32, 32]))


@pytest.mark.parametrize("name", [NAMES_OF_ALL[0], *HYBRIDS])
def test_spec_survives_json(name: str) -> None:
    spec = spec_of(name, num_classes=3, drop_path=0.1)
    assert spec_from_dict(spec.model_dump(mode="json")) == spec


def test_the_stem_alone_has_timm_s_name() -> None:
    convention = NAMES["vit"]["timm"]
    net = create("vit_tiny_r_s16_p8_224", input_size=32)
    names = {convention.theirs(name) for name in net.state_dict()}
    stem = {name for name in names if name.startswith("patch_embed.")}
    assert stem == {
        "patch_embed.backbone.conv.weight",
        "patch_embed.backbone.norm.weight",
        "patch_embed.backbone.norm.bias",
        "patch_embed.proj.weight",
        "patch_embed.proj.bias",
    }
