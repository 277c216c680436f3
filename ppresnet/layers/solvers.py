"""Explicit Runge-Kutta solvers of dy/dt = f(t, y), with fixed and with adaptive steps (Hairer et al. 1993)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import paddle
from paddle import Tensor

from ppresnet.errors import DivergedError
from ppresnet.layers.tableaux import TABLEAUX, Tableau
from ppresnet.paddle_api import as_it_stands

State = tuple[Tensor, ...]
Derivative = Callable[[float, State], State]

MOST_STEPS, LEAST_STEP = 10_000, 1e-12
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 10.0


@as_it_stands
def integrate(function: Derivative, state: State, end: float, tableau: Tableau, steps: int) -> State:
    """Return y(end) from y(0) in steps of equal length.

    Args:
        function: gives dy/dt of a time and a state.
        state: y(0).
        end: time.
        tableau: of the solver.
        steps: how many.
    """
    step = end / steps
    for index in range(steps):
        slopes = _slopes(function, index * step, state, step, tableau, ())
        state = _moved(state, step, slopes, tableau.weights)
    return state


def integrate_adaptively(
    function: Derivative, state: State, end: float, rtol: float, atol: float, tableau: Tableau = TABLEAUX["dopri5"]
) -> State:
    """Return y(end) from y(0), in steps whose estimated error stays below atol + rtol * |y|.

    The error of a tensor is the root mean square over all its elements, images of the batch included; the largest
    decides. Gradients flow through the steps taken, not through the choice of their length.

    Args:
        function: gives dy/dt of a time and a state.
        state: y(0).
        end: time, positive.
        rtol: relative tolerance.
        atol: absolute tolerance.
        tableau: of a solver with an error estimate, whose last slope is taken at the end of the step.

    Raises:
        DivergedError: the state or its slope is not finite, or the steps become too many.
    """
    first = function(0.0, state)
    step = _first_step(function, state, first, end, rtol, atol, tableau.order)
    time = 0.0
    for _ in range(MOST_STEPS):
        slopes = _slopes(function, time, state, step, tableau, (first,))
        after = _moved(state, step, slopes, tableau.weights)
        error = step * _norm(_combined(slopes, tableau.errors), _scale(state, after, rtol, atol))
        if not math.isfinite(error) or step < LEAST_STEP * end:
            raise DivergedError(f"the ODE has no finite solution behind t = {time:.4g}; lower the learning rate")
        if error <= 1.0:
            time, state, first = time + step, after, slopes[-1]
            if time >= end:
                return state
        factor = _SAFETY * error ** (-1.0 / tableau.order) if error else _GROW
        step = min(step * min(max(factor, _SHRINK), _GROW), end - time)
    raise DivergedError(
        f"the ODE needs more than {MOST_STEPS} steps, t = {time:.4g} of {end:g} was reached; raise the tolerances"
    )


def _slopes(
    function: Derivative, time: float, state: State, step: float, tableau: Tableau, known: tuple[State, ...]
) -> list[State]:
    slopes = list(known)
    for node, row in list(zip(tableau.nodes, tableau.matrix, strict=True))[len(known) :]:
        slopes.append(function(time + node * step, _moved(state, step, slopes, row)))
    return slopes


def _moved(state: State, step: float, slopes: Sequence[State], weights: Sequence[float]) -> State:
    if not any(weights):
        return state
    return tuple(y + step * slope for y, slope in zip(state, _combined(slopes, weights), strict=True))


def _combined(slopes: Sequence[State], weights: Sequence[float]) -> State:
    terms = [(weight, slope) for weight, slope in zip(weights, slopes, strict=True) if weight]
    totals = []
    for index in range(len(slopes[0])):
        total = terms[0][0] * terms[0][1][index]
        for weight, slope in terms[1:]:
            total = total + weight * slope[index]
        totals.append(total)
    return tuple(totals)


def _first_step(
    function: Derivative, state: State, slope: State, end: float, rtol: float, atol: float, order: int
) -> float:
    """Return a length by the sizes of the state, its slope and the change of that (Hairer et al., section II.4)."""
    scale = _scale(state, state, rtol, atol)
    size, speed = _norm(state, scale), _norm(slope, scale)
    trial = min(0.01 * size / speed, 0.01 * end) if size > 1e-5 and speed > 1e-5 else 1e-3 * end
    after = function(trial, _moved(state, trial, (slope,), (1.0,)))
    change = _norm(tuple(b - a for a, b in zip(slope, after, strict=True)), scale) / trial
    largest = max(speed, change)
    guess = (0.01 / largest) ** (1.0 / order) if largest > 1e-15 else end
    return min(100.0 * trial, guess, end)


def _scale(before: State, after: State, rtol: float, atol: float) -> State:
    pairs = zip(before, after, strict=True)
    return tuple(atol + rtol * paddle.maximum(a.detach().abs(), b.detach().abs()) for a, b in pairs)


def _norm(state: State, scale: State) -> float:
    return math.sqrt(max(float(((y.detach() / s) ** 2).mean()) for y, s in zip(state, scale, strict=True)))
