"""Solvers against problems whose solutions are known, in float64."""

from collections.abc import Iterator

import numpy as np
import paddle
import pytest

from ppresnet.errors import DivergedError
from ppresnet.layers.solvers import State, integrate, integrate_adaptively
from ppresnet.layers.tableaux import TABLEAUX


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    paddle.set_default_dtype("float64")
    yield
    paddle.set_default_dtype("float32")


class Oscillator:
    """A rotation whose speed changes with time: y' = (1 + t) (-y1, y0), a turn by 1.5 at t = 1."""

    TURN = 1.5

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, time: float, state: State) -> State:
        self.calls += 1
        x, y = state
        return (-(1 + time) * y, (1 + time) * x)

    @staticmethod
    def start() -> State:
        return paddle.to_tensor([1.0, 0.3]), paddle.to_tensor([0.0, -0.7])

    @classmethod
    def error(cls, found: State) -> float:
        x, y = (tensor.numpy() for tensor in cls.start())
        cosine, sine = np.cos(cls.TURN), np.sin(cls.TURN)
        exact = (cosine * x - sine * y, sine * x + cosine * y)
        return max(float(np.abs(a.numpy() - b).max()) for a, b in zip(found, exact, strict=True))


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("rk4", 4), ("dopri5", 5)])
def test_the_error_falls_with_the_order(solver: str, order: int) -> None:
    steps = (16, 32, 64)
    errors = [
        Oscillator.error(integrate(Oscillator(), Oscillator.start(), 1.0, TABLEAUX[solver], count)) for count in steps
    ]
    orders = -np.diff(np.log2(errors))
    np.testing.assert_allclose(orders, order, atol=0.2)
    assert TABLEAUX[solver].order == order


@pytest.mark.parametrize("solver", list(TABLEAUX))
def test_a_tableau_is_consistent(solver: str) -> None:
    tableau = TABLEAUX[solver]
    np.testing.assert_allclose([sum(row) for row in tableau.matrix], tableau.nodes, atol=1e-14)
    assert sum(tableau.weights) == pytest.approx(1.0, abs=1e-14)
    assert sum(tableau.errors) == pytest.approx(0.0, abs=1e-14)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
def test_dormand_prince_meets_its_tolerance(tolerance: float) -> None:
    found = integrate_adaptively(Oscillator(), Oscillator.start(), 1.0, tolerance, tolerance)
    assert 0 < Oscillator.error(found) <= tolerance


def test_a_tighter_tolerance_costs_evaluations_as_an_order_of_five_does() -> None:
    counts = []
    for tolerance in (1e-6, 1e-11):
        problem = Oscillator()
        integrate_adaptively(problem, Oscillator.start(), 1.0, tolerance, tolerance)
        counts.append(problem.calls)
    assert 5 < counts[1] / counts[0] < 20  # ten times as many steps, less the evaluations of the start


def test_a_sudden_change_gets_short_steps() -> None:
    times: list[float] = []

    def pulse(time: float, state: State) -> State:
        times.append(time)
        return (paddle.full_like(state[0], np.exp(-(((time - 0.5) / 0.1) ** 2)) / (0.1 * np.sqrt(np.pi))),)

    (found,) = integrate_adaptively(pulse, (paddle.zeros([1]),), 1.0, 1e-7, 1e-7)
    assert found.item() == pytest.approx(1.0, abs=1e-5)
    near = np.abs(np.array(times) - 0.5) < 0.25
    assert near.mean() > 0.6  # half of the time


def test_a_solution_that_leaves_the_numbers_is_refused() -> None:
    with pytest.raises(DivergedError, match=r"no finite solution|more than"):
        integrate_adaptively(lambda time, state: (state[0] ** 2,), (paddle.to_tensor([2.0]),), 1.0, 1e-6, 1e-6)


def test_gradients_flow_through_adaptive_steps() -> None:
    start, other = Oscillator.start()
    start.stop_gradient = False
    x, _ = integrate_adaptively(Oscillator(), (start, other), 1.0, 1e-8, 1e-8)
    x.sum().backward()
    np.testing.assert_allclose(start.grad.numpy(), np.cos(Oscillator.TURN), rtol=1e-6)
