"""Evaluations of two processes put together are that of one, bit for bit."""

from typing import Any

import numpy as np
import pytest

from ppresnet.train.metrics import Evaluation
from ppresnet.train.multilabel import MultiLabelEvaluation
from ppresnet.train.ranks import Ranks

RNG = np.random.default_rng(6)
LOGITS = (4 * RNG.standard_normal((64, 6))).astype(np.float32)
ONE, SEVERAL = RNG.integers(0, 6, 64), RNG.integers(0, 2, (64, 6))
CLASSES = tuple("abcdef")


class Other(Ranks):
    """Takes down what a process gives to a sum."""

    def total(self, numbers: np.ndarray) -> np.ndarray:
        GIVEN.append(numbers)
        return numbers


class This(Ranks):
    """Adds what the other process gave, in the order of the calls."""

    def total(self, numbers: np.ndarray) -> np.ndarray:
        return numbers + GIVEN.pop(0)


GIVEN: list[np.ndarray] = []


def seen(kind: str, numbers: range) -> Any:
    """Return the evaluation of some of eight batches of eight."""
    several = kind == "several"
    result = MultiLabelEvaluation(CLASSES, SEVERAL, np.zeros(8)) if several else Evaluation.empty(CLASSES, 8)
    for number in numbers:
        part = np.arange(8 * number, 8 * number + 8)
        labels = SEVERAL[part] if several else ONE[part]
        result.add(0.1 * number, LOGITS[part], labels, part, number)
    return result


@pytest.mark.parametrize("kind", ["one", "several"])
def test_two_halves_are_the_whole(kind: str) -> None:
    whole, this, other = seen(kind, range(8)), seen(kind, range(0, 8, 2)), seen(kind, range(1, 8, 2))
    assert this.figures() != whole.figures()
    other.merge(Other(1, 2))
    this.merge(This(0, 2))
    assert not GIVEN
    assert (this.figures(), this.count, this.per_class()) == (whole.figures(), 64, whole.per_class())
    if kind == "one":
        assert this.calibration.rows() == whole.calibration.rows()
        assert this.calibration.ece == whole.calibration.ece
