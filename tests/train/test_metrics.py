"""Losses and metrics against scikit-learn and numpy; guards against planted NaN."""

import numpy as np
import paddle
import pytest
from sklearn.metrics import confusion_matrix, precision_score, recall_score, top_k_accuracy_score

from ppresnet.train.losses import cross_entropy
from ppresnet.train.metrics import Evaluation, Window, correct_in_top


def _logits(images: int = 200, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.standard_normal((images, classes)).astype(np.float32), rng.integers(0, classes, images)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_equals_scikit_learns(k: int) -> None:
    logits, labels = _logits()
    expected = top_k_accuracy_score(labels, logits, k=k, normalize=False, labels=range(7))
    assert correct_in_top(logits, labels, k) == expected


def test_ties_and_nan_are_never_right() -> None:
    assert correct_in_top(np.zeros((3, 4), np.float32), np.array([0, 1, 2]), 1) == 0
    assert correct_in_top(np.full((3, 4), np.nan, np.float32), np.array([0, 1, 2]), 5) == 0


def test_evaluation_equals_scikit_learns() -> None:
    logits, labels = _logits()
    result = Evaluation.empty(tuple("abcdefg"))
    for part in (slice(0, 90), slice(90, 200)):
        result.add(1.0, logits[part], labels[part])
    predicted = logits.argmax(axis=1)
    np.testing.assert_array_equal(result.confusion, confusion_matrix(labels, predicted))
    rows = result.per_class()
    recalls, precisions = (
        recall_score(labels, predicted, average=None),
        precision_score(labels, predicted, average=None),
    )
    np.testing.assert_allclose([row["top1"] for row in rows], 100 * recalls)
    np.testing.assert_allclose([row["precision"] for row in rows], 100 * precisions)
    assert result.top1 == pytest.approx(100 * (predicted == labels).mean())
    assert (result.count, result.loss) == (200, 0.01)


def test_an_empty_class_has_no_recall() -> None:
    result = Evaluation.empty(("a", "b"))
    result.add(0.0, np.array([[1.0, 0.0]], np.float32), np.array([0]))
    assert result.per_class()[1]["top1"] is None


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_equals_the_formula(smoothing: float) -> None:
    logits, labels = _logits()
    log_share = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    target = np.eye(7)[labels] * (1 - smoothing) + smoothing / 7
    expected = -(target * log_share).sum(axis=1).mean()
    loss = cross_entropy(paddle.to_tensor(logits), paddle.to_tensor(labels), smoothing)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_window_averages_over_images_and_starts_anew() -> None:
    window = Window()
    window.add(1.0, np.array([[1.0, 0.0]] * 3, np.float32), np.array([0, 0, 1]))
    window.add(3.0, np.array([[1.0, 0.0]], np.float32), np.array([0]))
    assert window.close() == (1.5, 75.0)
    assert window == Window()
