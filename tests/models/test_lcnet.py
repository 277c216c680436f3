"""PP-LCNet: counts against PaddleClas's, the names it cannot take, the pyramid, promises, learning and saving."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from fixed_batch import batch, both_answers, losses
from paddle import nn

from ppresnet.errors import ConfigError
from ppresnet.layers.sites import promised_sites
from ppresnet.models import build, cost, create, import_weights
from ppresnet.spec import LCNetSpec, spec_from_dict, spec_of


def narrow(**overrides: object) -> LCNetSpec:
    """Return the spec of lcnet_025 with two blocks a stage at most, and five classes."""
    spec = spec_of("lcnet_025", num_classes=5, **overrides)
    assert isinstance(spec, LCNetSpec)
    return spec.model_copy(update={"stages": tuple(stage[:2] for stage in spec.stages), "hidden": 64})


@pytest.mark.parametrize(
    ("name", "millions"),
    [("lcnet_025", 1.52), ("lcnet_050", 1.89), ("lcnet_100", 2.96), ("lcnet_150", 4.52), ("lcnet_250", 9.04)],
)
def test_parameters_are_those_that_paddleclas_prints(name: str, millions: float) -> None:
    """It counts running statistics, and its last convolution has no bias."""
    spec = spec_of(name)
    assert isinstance(spec, LCNetSpec)
    blocks = [block.width for stage in spec.stages for block in stage]
    normalised = spec.stem + sum([spec.stem, *blocks[:-1]]) + sum(blocks)
    assert (cost(spec).params - spec.hidden + 2 * normalised) / 1e6 == pytest.approx(millions, abs=0.005)


def test_weights_of_paddleclas_are_refused_with_the_reason() -> None:
    state = {"conv1.conv.weight": np.zeros([16, 3, 3, 3]), "last_conv.weight": np.zeros([1280, 512, 1, 1])}
    with pytest.raises(ConfigError, match=r"'last_conv\.weight' .* no bias.* 0\.8 .* timm"):
        import_weights(create("lcnet_100"), state, "paddleclas")


def test_overrides_reach_the_network() -> None:
    net = build(narrow(in_channels=1, act="relu", norm="group", dropout=0.4))
    assert net.head.dropout.p == 0.4
    assert not any(isinstance(layer, nn.Hardswish | nn.BatchNorm2D) for layer in net.sublayers())
    assert net(paddle.zeros([2, 1, 32, 32])).shape == [2, 5]
    assert spec_from_dict(net.spec.model_dump(mode="json")) == net.spec


def test_the_pyramid_ends_in_what_the_head_takes() -> None:
    net = create("lcnet_050", num_classes=5)
    net.eval()
    images, _ = batch(net, 48)
    maps = net.features(images)
    assert net.pyramid == ((16, 2), (32, 4), (64, 8), (128, 16), (256, 32))
    assert [found.shape for found in maps] == [
        [8, level.channels, -(-48 // level.stride), -(-48 // level.stride)] for level in net.pyramid
    ]
    np.testing.assert_array_equal(net.head(maps[-1]).numpy(), net(images).numpy())


def test_every_convolution_of_the_trunk_promises_to_fuse() -> None:
    sites = promised_sites(create("lcnet_100"))
    assert len(sites) == 1 + 2 * 13
    assert {(site.pattern, site.act) for site in sites} == {("conv+bn+act", "hard_swish")}


def test_twenty_steps_halve_the_loss_and_a_checkpoint_keeps_the_answer(tmp_path: Path) -> None:
    paddle.seed(5)
    net = build(narrow())
    course = losses(net, 64)
    assert course[-1] <= course[0] / 2, course
    np.testing.assert_array_equal(*both_answers(net, 64, tmp_path))
