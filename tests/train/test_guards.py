"""Verdicts over sequences of losses, and the names of what is at fault."""

import math
import re

import numpy as np
import paddle
import pytest
import rank_worker
from paddle import nn

from ppresnet.config import GuardConfig, from_dict
from ppresnet.data import Batch
from ppresnet.models import create
from ppresnet.train.guards import Guard, bad_gradient, bad_layer
from ppresnet.train.ranks import ALONE

NAN = math.nan


def verdicts(config: GuardConfig, losses: list[float]) -> list[str]:
    guard = Guard()
    return [guard.judge(config, loss, finite=True) for loss in losses]


def test_bad_steps_are_left_out_then_undone_then_the_end() -> None:
    config = GuardConfig(skips=2, rollbacks=1)
    assert verdicts(config, [1.0, NAN, math.inf, 1.0, NAN, NAN, NAN, NAN, NAN, NAN]) == [
        *("go", "skip", "skip", "go", "skip", "skip", "rollback", "skip", "skip", "diverged")
    ]
    assert verdicts(GuardConfig(skips=0, rollbacks=0), [1.0, NAN]) == ["go", "diverged"]


def test_a_gradient_alone_makes_a_step_bad() -> None:
    assert Guard().judge(GuardConfig(), 1.0, finite=False) == "skip"


def test_spikes_are_told_from_the_recent_mean() -> None:
    config = GuardConfig(spike=3.0)
    assert set(verdicts(config, [2.0] * 60 + [5.9] * 2)) == {"go"}
    assert verdicts(config, [2.0] * 60 + [6.1, 2.0])[-2:] == ["skip", "go"]
    assert verdicts(config, [2.0] * 20 + [9.0])[-1] == "go"  # too early to know
    assert verdicts(GuardConfig(), [2.0] * 60 + [600.0])[-1] == "go"  # off


@pytest.mark.parametrize(("spike", "verdict"), [(None, "go"), (1.5, "skip")])
def test_a_step_judges_spikes_as_the_recipe_says(spike: float | None, verdict: str) -> None:
    step, _ = rank_worker.step_of(from_dict({"guard": {"spike": spike}}), ALONE)
    step.guard = Guard(mean_loss=0.5, good=60)
    group = [Batch(np.ones((2, 1, 8, 8), np.float32), np.arange(2), np.arange(2), ())]
    assert step.run(group, 0, 0, 0.1)[0] == verdict
    if verdict == "skip":
        assert re.search(r"output is finite; the loss is \d\.\d+, after a mean of 0\.5", step.fault(group, 0, 0))


def test_each_rollback_halves_the_learning_rate() -> None:
    assert [Guard(rollbacks=count).slowdown for count in range(3)] == [1.0, 0.5, 0.25]


def test_a_step_learns_at_that_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    step, recorder = rank_worker.step_of(from_dict({}), ALONE)
    rates: list[float] = []
    monkeypatch.setattr(recorder, "set_lr", rates.append)
    step.guard = Guard(rollbacks=1)
    group = [Batch(np.ones((2, 1, 8, 8), np.float32), np.arange(2), np.arange(2), ())]
    step.run(group, 0, 0, 0.1)
    assert rates == [0.05]


@pytest.fixture
def model() -> nn.Layer:
    paddle.seed(0)
    model = create("cifar_resnet20", in_channels=1, input_size=8)
    model.train()
    return model


def test_the_first_layer_at_fault_is_named(model: nn.Layer) -> None:
    images = paddle.randn([2, 1, 8, 8])
    before = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    assert bad_layer(model, images) is None
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])
    weight = model.stages[1][0].branch[1].conv.weight
    weight.set_value(weight * NAN)
    assert bad_layer(model, images) == "stages.1.0.branch.1.conv"
    for name, tensor in model.state_dict().items():
        if name.endswith(("_mean", "_variance")):
            np.testing.assert_array_equal(tensor.numpy(), before[name])


def test_the_first_gradient_at_fault_is_named(model: nn.Layer) -> None:
    assert bad_gradient(model) is None
    model(paddle.randn([2, 1, 8, 8])).sum().backward()
    assert bad_gradient(model) is None
    for name in ("stages.2.1.branch.0.conv.weight", "head.fc.bias"):
        gradient = dict(model.named_parameters())[name].grad
        gradient.set_value(gradient * math.inf)
    assert bad_gradient(model) == "head.fc.bias"  # the backward pass comes there first
