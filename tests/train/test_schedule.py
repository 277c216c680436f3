"""Schedules against Paddle's own, closed formulas and hand-worked numbers."""

from itertools import pairwise

import paddle
import pytest

from ppresnet.config import ScheduleConfig, from_dict, scaled_lr
from ppresnet.errors import ConfigError
from ppresnet.train.schedule import learning_rate, scaling_line


def _curve(schedule: ScheduleConfig, epochs: int, steps: int, base: float = 0.4) -> list[float]:
    return [learning_rate(schedule, base, step, steps, epochs) for step in range(epochs * steps)]


def _paddles(oracle: paddle.optimizer.lr.LRScheduler, steps: int) -> list[float]:
    values = []
    for _ in range(steps):
        values.append(oracle())
        oracle.step()
    return values


def test_warm_up_is_linear_and_ends_at_the_base_rate() -> None:
    curve = _curve(ScheduleConfig(name="constant", warmup_epochs=2.0), epochs=3, steps=5)
    assert curve[:10] == pytest.approx([0.4 * (step + 1) / 10 for step in range(10)])
    assert curve[9:] == pytest.approx([0.4] * 6)


def test_cosine_without_warm_up_equals_paddles() -> None:
    curve = _curve(ScheduleConfig(name="cosine", warmup_epochs=0.0), epochs=4, steps=6)
    assert curve == pytest.approx(_paddles(paddle.optimizer.lr.CosineAnnealingDecay(0.4, T_max=24), 24), abs=1e-9)


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


@pytest.mark.parametrize("power", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("end", [0.0, 0.1])
def test_polynomial_equals_paddles_and_ends_at_its_floor(power: float, end: float) -> None:
    curve = _curve(ScheduleConfig(name="polynomial", warmup_epochs=0.0, power=power, min_lr=end), epochs=4, steps=6)
    oracle = paddle.optimizer.lr.PolynomialDecay(0.4, decay_steps=24, end_lr=end, power=power)
    assert curve == pytest.approx(_paddles(oracle, 24), abs=1e-9)


def test_polynomial_after_warm_up_follows_the_formula() -> None:
    curve = _curve(ScheduleConfig(name="polynomial", warmup_epochs=1.5, power=2.0), epochs=4, steps=6)
    assert curve[:9] == pytest.approx([0.4 * (step + 1) / 9 for step in range(9)])
    assert curve[9:] == pytest.approx([0.4 * (1 - (step - 9) / 15) ** 2 for step in range(9, 24)])


def test_exponential_equals_paddles_at_whole_epochs_and_is_smooth_between() -> None:
    schedule = ScheduleConfig(name="exponential", warmup_epochs=0.0, gamma=0.5)
    curve = _curve(schedule, epochs=4, steps=6)
    assert curve[::6] == pytest.approx(_paddles(paddle.optimizer.lr.ExponentialDecay(0.4, gamma=0.5), 4))
    assert curve == pytest.approx([0.4 * 0.5 ** (step / 6) for step in range(24)])


def test_exponential_counts_from_the_end_of_the_warm_up_and_in_step_epochs() -> None:
    schedule = ScheduleConfig(name="exponential", warmup_epochs=1.0, gamma=0.97, step_epochs=2)
    curve = _curve(schedule, epochs=5, steps=3)
    assert curve[3:] == pytest.approx([0.4 * 0.97 ** ((step - 3) / 6) for step in range(3, 15)])


@pytest.mark.parametrize(("rise", "epochs"), [(1.0, 4), (2.5, 5)])
def test_one_cycle_equals_paddles(rise: float, epochs: int) -> None:
    schedule = ScheduleConfig(name="one_cycle", warmup_epochs=rise, start=0.1, min_lr=0.002)
    steps = epochs * 6
    oracle = paddle.optimizer.lr.OneCycleLR(
        0.4, total_steps=steps, divide_factor=10, end_learning_rate=0.002, phase_pct=rise / epochs
    )
    curve = _curve(schedule, epochs=epochs, steps=6)
    assert curve == pytest.approx(_paddles(oracle, steps), abs=1e-9)
    assert (curve[0], max(curve), curve[-1]) == pytest.approx((0.04, 0.4, 0.002))


def test_one_cycle_without_a_rise_starts_at_the_top() -> None:
    curve = _curve(ScheduleConfig(name="one_cycle", warmup_epochs=0.0), epochs=2, steps=5)
    assert (curve[0], curve[-1]) == pytest.approx((0.4, 0.0), abs=1e-12)
    assert _curve(ScheduleConfig(name="one_cycle"), epochs=1, steps=1) == [pytest.approx(0.4)]


@pytest.mark.parametrize("name", ["cosine", "exponential", "polynomial"])
def test_the_rate_stays_above_its_floor(name: str) -> None:
    curve = _curve(ScheduleConfig(name=name, warmup_epochs=0.0, min_lr=0.1), epochs=10, steps=3)
    assert min(curve) >= 0.1
    assert curve[0] == pytest.approx(0.4)


def test_the_rate_is_proportional_to_the_images_of_a_step() -> None:
    optim, train = {"lr": 0.1, "lr_batch": 256}, {"batch_size": 64, "accumulate": 16}
    config = from_dict({"optim": optim, "train": train})
    assert scaled_lr(config.optim, config.train) == pytest.approx(0.4)
    assert scaling_line(config) == (
        "optim.lr: 0.1 for steps of 256 images (optim.lr_batch) is 0.4 for those of this recipe, "
        "1024 images (64 x 16), however many processes share them"
    )
    plain = from_dict({"optim": {"lr": 0.1}, "train": train})
    assert (scaled_lr(plain.optim, plain.train), scaling_line(plain)) == (0.1, None)
    with pytest.raises(ConfigError, match=r"at most optim\.lr, which is 0\.025 after scaling by optim\.lr_batch"):
        from_dict({"optim": optim, "schedule": {"min_lr": 0.05}})
