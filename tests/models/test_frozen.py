"""Frozen parts through steps of training, with Paddle's kernels and with oneDNN's."""

from collections.abc import Iterator

import numpy as np
import paddle
import pytest
from paddle import nn

from ppresnet import onednn
from ppresnet.errors import ConfigError
from ppresnet.layers import ConvNorm
from ppresnet.models import create, freeze, freeze_norms


@pytest.fixture(params=["paddle", "onednn"])
def _kernels(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "onednn":
        paddle.set_device("cpu")
        try:
            onednn.open_library()
        except onednn.OneDnnError as error:
            pytest.skip(f"no oneDNN to test: {error}")
        onednn.enable("enabled", units=[ConvNorm])
    yield
    onednn.disable()


def images(count: int = 4) -> paddle.Tensor:
    return paddle.to_tensor(np.random.default_rng(0).normal(0.5, 2.0, (count, 3, 16, 16)).astype(np.float32))


def train(model: nn.Layer, steps: int = 3) -> dict[str, float]:
    """Return what each tensor of the state dict moved by."""
    before = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    trained = [parameter for parameter in model.parameters() if parameter.trainable]
    optimizer = paddle.optimizer.Momentum(0.05, parameters=trained, weight_decay=0.1)
    model.train()
    for _ in range(steps):
        nn.functional.cross_entropy(model(images()), paddle.to_tensor([0, 1, 2, 3])).backward()
        optimizer.step()
        optimizer.clear_grad()
    return {name: float(np.abs(tensor.numpy() - before[name]).max()) for name, tensor in model.state_dict().items()}


@pytest.mark.usefixtures("_kernels")
@pytest.mark.parametrize("norm", ["batch", "sync_batch", "group"])
@pytest.mark.parametrize("stages", [0, 2, 3])
def test_frozen_stages_stand_still_and_the_others_move(stages: int, norm: str) -> None:
    paddle.seed(0)
    model = create("cifar_resnet20", norm=norm)
    freeze(model, stages=stages)
    still = ("stem.", *(f"stages.{index}." for index in range(stages)))
    moved = train(model)
    assert {name for name, distance in moved.items() if not distance} == {n for n in moved if n.startswith(still)}


@pytest.mark.usefixtures("_kernels")
def test_frozen_stages_answer_in_training_as_in_evaluation() -> None:
    paddle.seed(0)
    model = create("cifar_resnet20", drop_path=0.5)
    train(model)
    freeze(model, stages=2)
    model.eval()
    expected = model.features(images())
    model.train()
    found = model.features(images())
    for level in (0, 1):
        np.testing.assert_allclose(found[level].numpy(), expected[level].numpy(), rtol=1e-4, atol=1e-4)
        assert found[level].stop_gradient
    assert np.abs(found[2].numpy() - expected[2].numpy()).max() > 0.1


def test_frozen_stages_keep_their_transitions_and_tokens() -> None:
    model = create("cifar_densenet40_12")
    freeze(model, stages=2)
    free = {name.split(".weight")[0] for name, parameter in model.named_parameters() if parameter.trainable}
    assert {name.split(".")[0] + "." + name.split(".")[1] for name in free if name.startswith(("st", "tr"))} == {
        "stages.2",
        "transitions.1",
    }
    model = create("vit_tiny_patch16_224")
    freeze(model, stages=1)
    free = {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.trainable}
    assert free == {"norm", "head"}


@pytest.mark.usefixtures("_kernels")
@pytest.mark.parametrize("norm", ["batch", "sync_batch"])
@pytest.mark.parametrize(("statistics", "affine"), [(True, True), (True, False), (False, True)])
def test_statistics_and_affine_parameters_freeze_separately(statistics: bool, affine: bool, norm: str) -> None:
    paddle.seed(0)
    model = create("cifar_resnet20", norm=norm)
    assert freeze_norms(model, statistics=statistics, affine=affine) == 19
    for name, distance in train(model).items():
        if name.endswith(("._mean", "._variance")):
            assert (distance == 0) is statistics, name
        elif ".norm." in name:
            assert (distance == 0) is affine, name
        else:
            assert distance > 0, name


def test_gradients_through_frozen_norms_are_those_of_a_constant_scale() -> None:
    norm = nn.BatchNorm2D(2)
    norm._mean.set_value(np.array([0.5, -1.0], np.float32))
    norm._variance.set_value(np.array([4.0, 0.25], np.float32))
    norm.weight.set_value(np.array([3.0, -2.0], np.float32))
    freeze_norms(norm)
    x = paddle.randn([3, 2, 4, 4])
    x.stop_gradient = False
    gradient = paddle.randn(x.shape)
    (norm(x) * gradient).sum().backward()
    scale = (np.array([3.0, -2.0]) / np.sqrt(np.array([4.0, 0.25]) + 1e-5)).reshape(1, 2, 1, 1)
    np.testing.assert_allclose(x.grad.numpy(), gradient.numpy() * scale, rtol=1e-5)


def test_what_cannot_be_frozen_is_named() -> None:
    model = create("cifar_resnet20")
    with pytest.raises(ConfigError, match="expected 0 to 3 stages, all that there are; found 4"):
        freeze(model, stages=4)
    with pytest.raises(ConfigError, match="expected a network with stages, found Linear"):
        freeze(nn.Linear(2, 2), stages=0)
    with pytest.raises(ConfigError, match="expected a network with normalisations, found none in Linear"):
        freeze_norms(nn.Linear(2, 2))
