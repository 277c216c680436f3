"""Which parameters learn how: layer-wise decay, rules, and rules that match nothing."""

import paddle
import pytest
from paddle import nn

from ppresnet.config import GroupRule, OptimConfig
from ppresnet.errors import ConfigError
from ppresnet.models import create
from ppresnet.models.frozen import freeze
from ppresnet.train.groups import Pace, layer_factors, matches, paces


@pytest.fixture(scope="module")
def model() -> nn.Layer:
    paddle.seed(0)
    return create("cifar_resnet20", in_channels=1, input_size=8)


def rules(*given: dict[str, object], **options: float) -> OptimConfig:
    return OptimConfig(groups=tuple(GroupRule(**one) for one in given), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("stages.1", "stages.1.0.conv.weight", True),
        ("stages.1", "stages.10.0.conv.weight", False),
        ("stages.1.", "stages.1.0.conv.weight", False),
        ("head.fc.weight", "head.fc.weight", True),
        ("head.fc.weigh", "head.fc.weight", False),
        ("*.weight", "head.fc.weight", True),
        ("stages.[01].*", "stages.1.0.conv.weight", True),
        ("stages.?", "stages.1.0.conv.weight", False),
        ("HEAD", "head.fc.weight", False),
    ],
)
def test_a_pattern_is_the_first_parts_of_a_name_or_a_glob(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


def test_layer_decay_slows_each_part_before_the_last(model: nn.Layer) -> None:
    factors = layer_factors(model, 0.5)
    assert factors["stem.conv.weight"] == 1 / 16
    assert factors["stages.0.2.branch.0.conv.weight"] == 1 / 8
    assert factors["stages.2.0.branch.0.conv.weight"] == 1 / 2
    assert factors["head.fc.weight"] == 1.0


def test_the_last_rule_that_matches_holds_on_top_of_layer_decay(model: nn.Layer) -> None:
    config = rules(
        {"match": "*", "lr": 0.1, "weight_decay": 0.0},
        {"match": "head", "lr": 10.0},
        {"match": "stages.0.*.conv.weight", "lr": 3.0, "weight_decay": 0.5},
        weight_decay=0.2,
        layer_decay=0.5,
    )
    found = paces(config, model)
    assert found["head.fc.weight"] == Pace(10.0, 0.2)
    assert found["head.fc.bias"] == Pace(10.0, 0.0)
    assert found["stages.0.1.branch.0.conv.weight"] == Pace(3.0 / 8, 0.1)
    assert found["stages.0.1.branch.0.norm.weight"] == Pace(0.1 / 8, 0.0)
    assert found["stem.conv.weight"] == Pace(0.1 / 16, 0.0)
    assert set(found) == {name for name, parameter in model.named_parameters() if parameter.trainable}


def test_a_factor_of_the_decay_decays_nothing_that_is_not_decayed_anyway(model: nn.Layer) -> None:
    found = paces(rules({"match": "head", "weight_decay": 2.0}, weight_decay=0.25), model)
    assert (found["head.fc.weight"].decay, found["head.fc.bias"].decay) == (0.5, 0.0)


def test_a_rule_that_matches_nothing_names_what_is_near(model: nn.Layer) -> None:
    with pytest.raises(ConfigError) as caught:
        paces(rules({"match": "head"}, {"match": "staegs.0"}, {"match": "zzz.*"}), model)
    assert caught.value.problems == (
        "'optim.groups[1].match': 'staegs.0' matches no parameter; did you mean 'stages.0'?",
        "'optim.groups[2].match': 'zzz.*' matches no parameter; the names start with stem, stages, head",
    )


def test_a_rule_for_frozen_parameters_says_so() -> None:
    frozen = create("cifar_resnet20", in_channels=1, input_size=8)
    freeze(frozen, 1)
    with pytest.raises(ConfigError, match=r"'stem' matches only parameters that are not trained, such as 'stem\.conv"):
        paces(rules({"match": "stem"}), frozen)
