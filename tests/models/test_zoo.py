"""The zoo against published counts and against hooks on real forward passes."""

import numpy as np
import paddle
import pytest
from counted import counted
from paddle import nn

from ppresnet.errors import ConfigError
from ppresnet.layers import Residual
from ppresnet.models import cost, create
from ppresnet.spec import MODELS, spec_from_dict, spec_of

# Parameters, and MACs of convolution and linear layers at the published image size.
PUBLISHED = {
    "cifar_resnet20": (269_722, 40.55e6),
    "cifar_resnet32": (464_154, 68.86e6),
    "cifar_resnet44": (658_586, 97.17e6),
    "cifar_resnet56": (853_018, 125.5e6),
    "cifar_resnet110": (1_727_962, 252.9e6),
    "cifar_resnet1202": (19_421_274, 2.829e9),
    "cifar_plain20": (269_722, 40.55e6),
    "cifar_plain56": (853_018, 125.5e6),
    "resnet18": (11_689_512, 1.814e9),
    "resnet34": (21_797_672, 3.664e9),
    "resnet50": (25_557_032, 4.089e9),
    "resnet101": (44_549_160, 7.801e9),
    "resnet152": (60_192_808, 11.514e9),
    "wide_resnet50_2": (68_883_240, 11.398e9),
    "wide_resnet101_2": (126_886_696, 22.753e9),
    "resnext50_32x4d": (25_028_904, 4.230e9),
    "resnext101_32x8d": (88_791_336, 16.414e9),
    "resnext101_64x4d": (83_455_272, 15.460e9),
    "cifar_resnext29_8x64d": (34_426_698, 5.387e9),
    "cifar_resnext29_16x64d": (68_155_210, 10.689e9),
    "cifar_preact_resnet110": (1_727_962, 252.9e6),
    "cifar_preact_resnet164": (1_703_258, 244.5e6),
    "cifar_preact_resnet1001": (10_327_706, 1.488e9),
    "cifar_wrn16_8": (10_961_370, 1.548e9),
    "cifar_wrn28_10": (36_479_194, 5.243e9),
    "resnetv2_50": (25_549_352, 4.089e9),
    "resnetv2_101": (44_541_480, 7.801e9),
    "resnetv2_152": (60_185_128, 11.514e9),
    "seresnet18": (11_779_624, 1.814e9),
    "seresnet34": (21_960_416, 3.664e9),
    "seresnet50": (28_088_024, 4.092e9),
    "seresnet101": (49_326_872, 7.806e9),
    "seresnet152": (66_821_848, 11.520e9),
    "seresnext50_32x4d": (27_559_896, 4.233e9),
    "densenet121": (7_978_856, 2.834e9),
    "densenet161": (28_681_000, 7.728e9),
    "densenet169": (14_149_480, 3.360e9),
    "densenet201": (20_013_928, 4.291e9),
    "cifar_densenet40_12": (1_019_722, 264.8e6),
    "cifar_densenet_bc100_12": (769_162, 287.9e6),
    "cifar_densenet_bc190_40": (25_624_430, 9.302e9),
    "lcnet_025": (1_522_464, 16.77e6),
    "lcnet_035": (1_644_370, 27.36e6),
    "lcnet_050": (1_880_856, 44.73e6),
    "lcnet_075": (2_358_288, 94.79e6),
    "lcnet_100": (2_953_800, 155.7e6),
    "lcnet_150": (4_501_112, 334.2e6),
    "lcnet_200": (6_522_792, 580.2e6),
    "lcnet_250": (9_018_840, 893.7e6),
    "vit_tiny_patch16_224": (5_717_416, 1.0749e9),
    "vit_small_patch16_224": (22_050_664, 4.2412e9),  # MACs by hand, in test_vit.py
    "vit_base_patch16_224": (86_567_656, 16.8485e9),  # MACs by hand, in test_vit.py
    "vit_tiny_r_s16_p8_224": (6_337_704, 422.2e6),  # timm rounds to 6.34 M; MACs by running the network
    "vit_small_r26_s32_224": (36_431_912, 3.4408e9),
    # Not published; by hand, in test_gated.py and test_ode.py.
    "cifar_highway20": (392_170, 59.43e6),
    "cifar_sparse_gated20": (286_186, 40.57e6),
    "cifar_odenet": (168_506, 120.8e6),
    "cifar_odenet_dopri5": (168_506, 120.8e6),
}
EXACT_MACS = {
    "densenet121": 2_834_161_664,
    "lcnet_100": 155_700_480,
    "resnet18": 1_814_073_344,
    "resnet50": 4_089_184_256,
    "resnext50_32x4d": 4_230_479_872,
    "resnetv2_50": 4_089_184_256,
    "seresnet50": 4_091_699_200,
    "vit_small_r26_s32_224": 3_440_811_008,
    "vit_tiny_patch16_224": 1_074_851_328,
}


def test_every_model_is_held_to_a_published_count() -> None:
    assert set(PUBLISHED) == set(MODELS)


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_cost_equals_the_published_count(name: str) -> None:
    params, macs = PUBLISHED[name]
    price = cost(spec_of(name))
    assert price.params == params
    assert price.macs == pytest.approx(macs, rel=4e-4)


@pytest.mark.parametrize("name", list(EXACT_MACS))
def test_macs_are_exactly_those_of_the_reference(name: str) -> None:
    assert cost(spec_of(name)).macs == EXACT_MACS[name]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("cifar_resnet20", 32),
        ("cifar_resnet32", 17),
        ("cifar_plain56", 32),
        ("resnet34", 64),
        ("resnet50", 97),
        ("resnext50_32x4d", 64),
        ("wide_resnet50_2", 64),
        ("seresnet34", 64),
        ("seresnext50_32x4d", 64),
        ("cifar_resnext29_8x64d", 16),
        ("resnetv2_50", 97),
        ("cifar_preact_resnet110", 17),
        ("cifar_preact_resnet164", 17),
        ("cifar_wrn16_8", 16),
        ("densenet121", 97),
        ("cifar_densenet40_12", 17),
        ("cifar_densenet_bc100_12", 16),
        ("lcnet_035", 97),
        ("lcnet_100", 64),
    ],
)
def test_cost_equals_a_count_by_hooks(name: str, size: int) -> None:
    model = create(name, num_classes=7, in_channels=2)
    price = cost(model.spec, size)
    assert (price.params, price.macs) == counted(model, size, size)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MODELS))
def test_every_built_network_has_the_counted_parameters(name: str) -> None:
    model = create(name)
    assert sum(int(p.size) for p in model.parameters() if p.trainable) == PUBLISHED[name][0]


def test_spec_survives_json() -> None:
    spec = spec_of("resnext50_32x4d", num_classes=3, act="silu", drop_path=0.1)
    assert spec_from_dict(spec.model_dump(mode="json")) == spec


def test_overrides_reach_the_network() -> None:
    model = create("cifar_resnet20", num_classes=3, in_channels=1, act="gelu", dropout=0.5, drop_path=0.2)
    assert model(paddle.zeros([2, 1, 8, 8])).shape == [2, 3]
    assert isinstance(model.head.dropout, nn.Dropout)
    rates = [block.drop_path.rate for stage in model.stages for block in stage if hasattr(block.drop_path, "rate")]
    np.testing.assert_allclose(rates, np.arange(1, 9) * 0.2 / 8)
    assert not any(isinstance(layer, nn.ReLU) for layer in model.sublayers())


def test_zero_init_gamma_makes_every_block_its_skip() -> None:
    model = create("cifar_resnet20", zero_init_gamma=True)
    blocks = [layer for layer in model.sublayers() if isinstance(layer, Residual)]
    assert len(blocks) == 9
    for block in blocks:
        assert not block.branch[-1].norm.weight.numpy().any()
        assert block.branch[0].norm.weight.numpy().all()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [({"clases": 10}, "did you mean"), ({"num_classes": 0}, "num_classes"), ({"act": "tanh"}, "act")],
)
def test_wrong_fields_are_named(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        spec_of("resnet50", **overrides)


def test_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="unknown model 'resnet51'; did you mean 'resnet50'"):
        create("resnet51")
