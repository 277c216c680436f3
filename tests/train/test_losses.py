"""Losses against their formulas in float64."""

import numpy as np
import paddle
import pytest

from ppresnet.train.losses import cross_entropy, distillation, mixed_cross_entropy

RNG = np.random.default_rng(0)
LOGITS, TEACHER = RNG.standard_normal((2, 5, 7)).astype("float32")
LABELS, OTHERS = RNG.integers(0, 7, (2, 5))


def log_softmax(values: np.ndarray) -> np.ndarray:
    values = values.astype("float64")
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))


def expected(labels: np.ndarray, smoothing: float) -> float:
    target = np.eye(7)[labels] * (1 - smoothing) + smoothing / 7
    return float(-(target * log_softmax(LOGITS)).sum(axis=1).mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(smoothing: float) -> None:
    found = cross_entropy(paddle.to_tensor(LOGITS), paddle.to_tensor(LABELS), smoothing)
    assert float(found) == pytest.approx(expected(LABELS, smoothing), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_two_labels_count_by_their_share(share: float, smoothing: float) -> None:
    tensors = (paddle.to_tensor(array) for array in (LOGITS, LABELS, OTHERS))
    found = mixed_cross_entropy(*tensors, share, smoothing)
    wanted = share * expected(LABELS, smoothing) + (1 - share) * expected(OTHERS, smoothing)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distillation_is_the_softened_divergence(temperature: float) -> None:
    student, teacher = log_softmax(LOGITS / temperature), log_softmax(TEACHER / temperature)
    wanted = (np.exp(teacher) * (teacher - student)).sum(axis=1).mean() * temperature**2
    found = distillation(paddle.to_tensor(LOGITS), paddle.to_tensor(TEACHER), temperature)
    assert float(found) == pytest.approx(wanted, rel=1e-4)
    same = distillation(paddle.to_tensor(LOGITS), paddle.to_tensor(LOGITS), temperature)
    assert abs(float(same)) < 1e-5
