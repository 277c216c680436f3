"""BatchNorm weights under GroupNorm: what is carried over, what is lost, what the new network computes."""

import numpy as np
import paddle
import pytest
from paddle import nn

from ppresnet.checkpoint.state import restore_weights, weights_of
from ppresnet.errors import ConfigError
from ppresnet.layers.norm import group_norm
from ppresnet.models import build, create, to_group_norm
from ppresnet.spec import spec_of


@pytest.mark.parametrize("norm", ["batch", "sync_batch"])
def test_everything_but_the_statistics_is_carried_over(norm: str) -> None:
    source = create("cifar_resnet20", num_classes=3, norm=norm)
    weights = weights_of(source)
    turned = to_group_norm(source.spec, weights)
    assert turned.spec == spec_of("cifar_resnet20", num_classes=3, norm="group")
    lost = weights.keys() - turned.weights.keys()
    assert {name.rpartition(".")[2] for name in lost} == {"_mean", "_variance"} and len(lost) == 2 * 19
    target = build(turned.spec)
    restore_weights(target, turned.weights)
    for name, tensor in target.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), weights[name], err_msg=name)
    # 7 convolutions of 16 channels, 6 of 32 and 6 of 64.
    assert "19 BatchNorms became GroupNorms of 8 or 16 or 32 groups" in turned.note
    assert "Lost: 1,376 running statistics" in turned.note and 2 * (7 * 16 + 6 * 32 + 6 * 64) == 1376
    assert "no longer computes the same function" in turned.note


def test_a_batch_norm_of_one_image_is_the_group_norm_of_one_channel_a_group() -> None:
    """The two agree only where a group holds one channel and a batch one image: an oracle for what is carried over."""
    paddle.seed(0)
    norm = nn.BatchNorm2D(4)
    norm.weight.set_value(paddle.randn([4]))
    norm.bias.set_value(paddle.randn([4]))
    single = nn.GroupNorm(4, 4, 1e-5)
    single.set_state_dict({"weight": norm.weight, "bias": norm.bias})
    x = paddle.randn([1, 4, 6, 6])
    np.testing.assert_allclose(single(x).numpy(), norm(x).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(64, 32), (2048, 32), (96, 32), (48, 16), (32, 16), (16, 8), (24, 8), (2, 1), (1, 1), (17, 1)],
)
def test_groups(channels: int, groups: int) -> None:
    assert group_norm(channels)._num_groups == groups


def test_what_cannot_be_turned_is_refused() -> None:
    model = create("cifar_resnet20", norm="layer")
    with pytest.raises(ConfigError, match="expected a network with norm batch or sync_batch, found layer"):
        to_group_norm(model.spec, weights_of(model))
    model = create("cifar_resnet20")
    weights = weights_of(model)
    with pytest.raises(ConfigError, match=r"'head.fc.bias': the network needs \[10\], found none"):
        to_group_norm(model.spec, {name: array for name, array in weights.items() if name != "head.fc.bias"})
    with pytest.raises(ConfigError, match=r"'extra': the network needs no such one, found \[2\]"):
        to_group_norm(model.spec, weights | {"extra": np.zeros(2, np.float32)})
    transformer = create("vit_tiny_patch16_224")
    with pytest.raises(ConfigError, match="has no BatchNorm"):
        to_group_norm(transformer.spec.model_copy(update={"norm": "batch"}), weights_of(transformer))
