"""What a network of any family must do: learn a batch, survive a checkpoint, give its pyramid, freeze, feed a neck.

One small network stands for each family.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import fixed_batch
import numpy as np
import paddle
import pytest
from paddle import nn

from ppresnet.models import build, freeze
from ppresnet.models.necks import FPN, PAN
from ppresnet.spec import FAMILIES, ModelSpec, spec_from_dict, spec_of

SIZE = 16
RATES = {"gated": 0.2}  # its gates start nearly closed
BLOCK = {"heads": 4, "head_dim": 16, "mlp": 256}
SMALL: Mapping[str, Callable[[], ModelSpec]] = {
    "resnet": lambda: spec_of("cifar_resnet20", input_size=SIZE),
    "preact": lambda: spec_of("cifar_preact_resnet110", input_size=SIZE).model_copy(
        update={"stages": tuple(stage[:2] for stage in spec_of("cifar_preact_resnet110").stages)}
    ),
    "vit": lambda: spec_from_dict(
        {"family": "vit", "name": "tiny", "num_classes": 10, "input_size": SIZE, "patch": 8, "width": 64}
        | {"blocks": [BLOCK] * 2}
    ),
    "gated": lambda: spec_of("cifar_highway20", input_size=SIZE),
    "ode": lambda: spec_of("cifar_odenet", input_size=SIZE),
    "densenet": lambda: spec_of("cifar_densenet40_12", input_size=SIZE).model_copy(
        update={"stages": tuple(stage[:4] for stage in spec_of("cifar_densenet40_12").stages), "transitions": (40, 40)}
    ),
    "lcnet": lambda: spec_of("lcnet_025", input_size=2 * SIZE, num_classes=10),
}


@pytest.fixture(params=SMALL)
def net(request: pytest.FixtureRequest) -> nn.Layer:
    paddle.seed(0)
    return build(SMALL[request.param]())


def images(net: nn.Layer) -> paddle.Tensor:
    return fixed_batch.batch(net, net.spec.input_size)[0]


def step(net: nn.Layer) -> None:
    """Take one step of SGD, in training mode."""
    optimizer = paddle.optimizer.Momentum(0.05, parameters=[one for one in net.parameters() if one.trainable])
    net.train()
    nn.functional.cross_entropy(net(images(net)), paddle.arange(8) % 10).backward()
    optimizer.step()


def test_there_is_one_for_each_family() -> None:
    assert {family: SMALL[family]().family for family in SMALL} == {family: family for family in FAMILIES}


def test_twenty_steps_halve_the_loss(net: nn.Layer) -> None:
    found = fixed_batch.losses(net, net.spec.input_size, lr=RATES.get(net.spec.family, 0.05))
    assert found[-1] <= found[0] / 2, found


def test_it_answers_the_same_after_save_and_load(net: nn.Layer, tmp_path: Path) -> None:
    step(net)
    net.eval()
    loaded = fixed_batch.saved_and_loaded(net, tmp_path)
    np.testing.assert_array_equal(loaded(images(net)).numpy(), net(images(net)).numpy())
    assert loaded.spec == net.spec


def test_features_are_those_of_the_pyramid(net: nn.Layer) -> None:
    net.eval()
    maps = net.features(images(net))
    size = net.spec.input_size
    assert [tuple(found.shape) for found in maps] == [
        (8, level.channels, size // level.stride, size // level.stride) for level in net.pyramid
    ]
    strides = [level.stride for level in net.pyramid]
    assert strides == sorted(strides)


@pytest.mark.parametrize("kind", [FPN, PAN])
def test_its_pyramid_feeds_a_neck(net: nn.Layer, kind: type[nn.Layer]) -> None:
    neck = kind(net.pyramid, width=4)
    found = neck(net.features(images(net)))
    assert [tuple(x.shape[:2]) for x in found] == [(8, 4)] * len(net.pyramid)
    sum(x.square().mean() for x in found).backward()
    assert all(parameter.grad is not None for parameter in neck.parameters())
    reached = [name for name, parameter in net.named_parameters() if parameter.grad is not None]
    assert any(name.startswith("stages.0.") for name in reached)


def test_all_but_the_head_can_be_frozen(net: nn.Layer) -> None:
    freeze(net, stages=len(net.stages))
    before = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    step(net)
    still = {name for name, tensor in net.state_dict().items() if (tensor.numpy() == before[name]).all()}
    moved = before.keys() - still
    assert moved and all(name.startswith(("head.", "after.", "norm.")) for name in moved)
