"""Schedules against Paddle's own and against hand-worked numbers."""

from itertools import pairwise

import paddle
import pytest

from ppresnet.config.training import ScheduleConfig
from ppresnet.train.schedule import learning_rate


def _curve(schedule: ScheduleConfig, epochs: int, steps: int, base: float = 0.4) -> list[float]:
    return [learning_rate(schedule, base, step, steps, epochs) for step in range(epochs * steps)]


def test_warm_up_is_linear_and_ends_at_the_base_rate() -> None:
    curve = _curve(ScheduleConfig(name="constant", warmup_epochs=2.0), epochs=3, steps=5)
    assert curve[:10] == pytest.approx([0.4 * (step + 1) / 10 for step in range(10)])
    assert curve[9:] == pytest.approx([0.4] * 6)


def test_cosine_without_warm_up_equals_paddles() -> None:
    curve = _curve(ScheduleConfig(name="cosine", warmup_epochs=0.0), epochs=4, steps=6)
    oracle = paddle.optimizer.lr.CosineAnnealingDecay(0.4, T_max=24)
    for value in curve:
        assert value == pytest.approx(oracle(), abs=1e-9)
        oracle.step()


def test_cosine_after_warm_up_starts_at_the_top_and_ends_near_zero() -> None:
    curve = _curve(ScheduleConfig(name="cosine", warmup_epochs=1.0), epochs=5, steps=10)
    assert curve[10] == pytest.approx(0.4)
    assert curve[-1] == pytest.approx(0.4 * 0.5 * (1 - 0.9969173337), rel=1e-4)
    assert all(a > b for a, b in pairwise(curve[10:]))


def test_step_and_multistep_drop_at_their_epochs() -> None:
    step = _curve(ScheduleConfig(name="step", warmup_epochs=0.0, step_epochs=2, gamma=0.5), epochs=5, steps=1)
    assert step == pytest.approx([0.4, 0.4, 0.2, 0.2, 0.1])
    schedule = ScheduleConfig(name="multistep", warmup_epochs=0.0, milestones=(1, 3), gamma=0.1)
    assert _curve(schedule, epochs=4, steps=1) == pytest.approx([0.4, 0.04, 0.04, 0.004])


def test_the_rate_stays_above_its_floor() -> None:
    curve = _curve(ScheduleConfig(name="cosine", warmup_epochs=0.0, min_lr=0.1), epochs=10, steps=3)
    assert min(curve) == 0.1
