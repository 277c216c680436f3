"""DenseNet: names against Paddle's own network, dropping, the pyramid, promises, learning and saving."""

from collections import Counter
from pathlib import Path

import numpy as np
import paddle
import pytest
from bundles import enliven
from fixed_batch import batch, both_answers, losses
from paddle import nn

from ppresnet.layers import DenseLayer
from ppresnet.layers.sites import promised_sites
from ppresnet.models import build, create, import_weights
from ppresnet.spec import DenseLayerSpec, DenseNetSpec, StemSpec, spec_from_dict, spec_of

SIZES = {
    "densenet121": 64,
    "densenet161": 64,
    "densenet169": 64,
    "densenet201": 64,
    "cifar_densenet40_12": 16,
    "cifar_densenet_bc100_12": 16,
    "cifar_densenet_bc190_40": 16,
}


def narrow(name: str, **overrides: object) -> DenseNetSpec:
    """Return the spec of a named network with two layers of growth six a stage, and five classes."""
    spec = spec_of(name, num_classes=5, **overrides)
    assert isinstance(spec, DenseNetSpec)
    bottleneck = spec.stages[0][0].bottleneck and 24
    stage = (DenseLayerSpec(growth=6, bottleneck=bottleneck),) * 2
    update = {
        "stem": spec.stem.model_copy(update={"width": 12}),
        "stages": (stage,) * len(spec.stages),
        "transitions": tuple(12 + index for index in range(len(spec.transitions))),
    }
    return spec.model_copy(update=update)


@pytest.mark.parametrize("source", ["paddle_vision", "paddleclas"])
def test_the_network_of_paddle_gives_its_own_logits(source: str) -> None:
    twin = paddle.vision.models.densenet121(num_classes=5)
    enliven(twin)
    model = create("densenet121", num_classes=5)
    report = import_weights(model, {name: tensor.numpy() for name, tensor in twin.state_dict().items()}, source)
    assert len(report.mapped) == len(twin.state_dict())
    model.eval()
    images = paddle.randn([2, 3, 64, 64])
    with paddle.no_grad():
        ours, theirs = model(images).numpy(), twin(images).numpy()
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


def test_overrides_reach_the_network() -> None:
    net = build(narrow("densenet121", in_channels=1, act="silu", norm="group", dropout=0.4, drop_path=0.3))
    layers = [layer for layer in net.sublayers() if isinstance(layer, DenseLayer)]
    assert [layer.dropout.p for layer in layers] == [0.4] * 8
    np.testing.assert_allclose([layer.drop_path.rate for layer in layers[1:]], np.arange(1, 8) * 0.3 / 7)
    assert not any(isinstance(layer, nn.ReLU | nn.BatchNorm2D) for layer in net.sublayers())
    assert net(paddle.zeros([2, 1, 32, 32])).shape == [2, 5]


def test_every_layer_may_have_widths_of_its_own() -> None:
    layers = (DenseLayerSpec(growth=3, bottleneck=7), DenseLayerSpec(growth=5), DenseLayerSpec(growth=1, bottleneck=2))
    stem = StemSpec(kind="cifar", width=4)
    spec = DenseNetSpec(
        name="uneven", num_classes=2, input_size=8, stem=stem, stages=(layers, layers[:1]), transitions=(6,)
    )
    net = build(spec_from_dict(spec.model_dump(mode="json")))
    assert net.pyramid == ((13, 1), (9, 2))
    assert [layer.before.norm.weight.shape[0] for layer in net.sublayers() if isinstance(layer, DenseLayer)] == [
        4, 7, 12, 6,
    ]  # fmt: skip
    assert net(paddle.zeros([2, 3, 8, 8])).shape == [2, 2]


@pytest.mark.parametrize(("name", "strides"), [("densenet121", (4, 8, 16, 32)), ("cifar_densenet40_12", (1, 2, 4))])
def test_the_pyramid_ends_in_what_the_head_takes(name: str, strides: tuple[int, ...]) -> None:
    net = build(narrow(name))
    net.eval()
    images, _ = batch(net, 64)
    maps = net.features(images)
    assert tuple(level.stride for level in net.pyramid) == strides
    for level, found in zip(net.pyramid, maps, strict=True):
        assert found.shape == [8, level.channels, 64 // level.stride, 64 // level.stride]
    assert (maps[-1].numpy() >= 0).all()
    assert (maps[0].numpy() < 0).any()
    np.testing.assert_array_equal(net.head(maps[-1]).numpy(), net(images).numpy())


@pytest.mark.parametrize(("name", "sites"), [("densenet121", 1 + 58), ("cifar_densenet40_12", 0)])
def test_the_stem_and_every_bottleneck_promise_to_fuse(name: str, sites: int) -> None:
    promised = promised_sites(create(name))
    assert Counter(site.pattern for site in promised) == ({"conv+bn+act": sites} if sites else {})


@pytest.mark.parametrize("name", list(SIZES))
def test_twenty_steps_halve_the_loss_and_a_checkpoint_keeps_the_answer(name: str, tmp_path: Path) -> None:
    paddle.seed(5)
    net = build(narrow(name))
    course = losses(net, SIZES[name])
    assert course[-1] <= course[0] / 2, course
    np.testing.assert_array_equal(*both_answers(net, SIZES[name], tmp_path))
