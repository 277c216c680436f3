"""Random specs: each builds a network that is what its spec says, or ends in a ConfigError."""

from collections import Counter
from typing import Any

import numpy as np
import paddle
import pytest
from counted import counted
from hypothesis import HealthCheck, given, settings
from paddle import nn
from spec_strategies import SPECS

from ppresnet.errors import ConfigError
from ppresnet.models import build, cost
from ppresnet.spec import spec_from_dict

FAMILIES = list(SPECS)
FEW, MANY = 8, 200  # of each family
LEAST_BUILT = 0.4  # of many specs that are drawn; the others must be refused


def built(fields: dict[str, Any]) -> nn.Layer | None:
    try:
        model = build(spec_from_dict(fields))
    except ConfigError as error:
        assert error.problems and all(error.problems)
        return None
    return model


def check_shapes(model: nn.Layer, height: int, width: int) -> None:
    """Compare the maps with the pyramid; transitions of a DenseNet round sizes down, everything else up."""
    shape = (2, model.spec.in_channels, height, width)
    images = paddle.to_tensor(np.random.default_rng(0).normal(size=shape), "float32")
    maps = model.features(images)
    assert len(maps) == len(model.pyramid) > 0
    for level, found in zip(model.pyramid, maps, strict=True):
        assert found.shape[:2] == [2, level.channels]
        for side, whole in zip(found.shape[2:], (height, width), strict=True):
            least = 1 if model.spec.family == "densenet" else -(-whole // level.stride)
            assert least <= side <= -(-whole // level.stride)
    logits = model(images)
    assert logits.shape == [2, model.spec.num_classes]
    assert np.isfinite(logits.numpy()).all()


def holds(fields: dict[str, Any]) -> bool:
    """Check one spec, and return whether it could be built."""
    model = built(fields)
    if model is None:
        return False
    spec = model.spec
    assert spec_from_dict(spec.model_dump(mode="json")) == spec
    size = spec.input_size
    price, (params, macs) = cost(spec), counted(model, size, size)
    assert price.params == params
    if spec.family == "ode" and spec.solver.kind == "dopri5":  # takes as many steps as the image wants
        assert price.macs <= macs
    else:
        assert price.macs == macs
    model.eval()
    check_shapes(model, size, size)
    if spec.family != "vit":  # its positions are those of one size
        check_shapes(model, size + 3, size + 1)
    model.train()
    check_shapes(model, size, size)
    return True


def run(family: str, examples: int) -> Counter[bool]:
    """Return how many specs could be built, and how many were refused."""
    outcomes: Counter[bool] = Counter()

    @settings(max_examples=examples, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example])
    @given(SPECS[family]())
    def check(fields: dict[str, Any]) -> None:
        outcomes[holds(fields)] += 1

    check()
    return outcomes


@pytest.mark.parametrize("family", FAMILIES)
def test_a_spec_builds_what_it_says_or_is_refused(family: str) -> None:
    assert run(family, FEW).total() >= FEW


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_many_specs_build_what_they_say_or_are_refused(family: str) -> None:
    outcomes = run(family, MANY)
    assert outcomes[True] >= LEAST_BUILT * outcomes.total()
