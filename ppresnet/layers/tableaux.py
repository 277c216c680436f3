"""Explicit Runge-Kutta methods as numbers."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Tableau:
    """A Butcher tableau: where in the step slopes are taken, and how they are combined.

    Attributes:
        nodes: time of each slope, as a share of the step.
        matrix: weights of the earlier slopes in the state at which each slope is taken.
        weights: of the slopes in the step.
        errors: of the slopes in the estimate of the step's error; empty where there is none.
        order: of the global error.
    """

    nodes: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    order: int
    errors: tuple[float, ...] = ()


_DOPRI5_WEIGHTS = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0.0)
_DOPRI5_FOURTH = (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40)

TABLEAUX: Mapping[str, Tableau] = {
    "euler": Tableau((0.0,), ((),), (1.0,), order=1),
    "rk4": Tableau(
        (0.0, 0.5, 0.5, 1.0), ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6), order=4
    ),
    # Dormand and Prince 1980, "A family of embedded Runge-Kutta formulae", table 2. Its last slope starts the next one.
    "dopri5": Tableau(
        (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
        (
            (),
            (1 / 5,),
            (3 / 40, 9 / 40),
            (44 / 45, -56 / 15, 32 / 9),
            (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
            (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
            _DOPRI5_WEIGHTS[:-1],
        ),
        _DOPRI5_WEIGHTS,
        order=5,
        errors=tuple(fifth - fourth for fifth, fourth in zip(_DOPRI5_WEIGHTS, _DOPRI5_FOURTH, strict=True)),
    ),
}
