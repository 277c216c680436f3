"""Several labels an image: metrics against scikit-learn and brute force."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_recall_fscore_support

from ppresnet.train.metrics import correct_in_top
from ppresnet.train.multilabel import MultiLabelEvaluation
from ppresnet.train.precision import average_precision, best_threshold, rates

NAMES = tuple("abcdef")


def data(images: int = 120, step: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Return logits with many ties, and labels that follow them a little; the last class never occurs."""
    rng = np.random.default_rng(3)
    logits = np.round(rng.standard_normal((images, len(NAMES))) / step).astype(np.float32) * np.float32(step)
    truth = (logits + rng.standard_normal(logits.shape) > 0.7).astype(np.int64)
    truth[:, -1] = 0
    return logits, truth


def evaluation(logits: np.ndarray, truth: np.ndarray, threshold: float = 0.5) -> MultiLabelEvaluation:
    result = MultiLabelEvaluation(NAMES, truth, np.zeros(4), threshold)
    for number, part in enumerate(np.array_split(np.random.default_rng(0).permutation(len(truth)), 4)):
        result.add(0.5 * len(part), logits[part], truth[part], part, number)
    return result


def test_map_is_scikit_learns() -> None:
    logits, truth = data()
    wanted = [average_precision_score(truth[:, index], logits[:, index]) for index in range(5)]
    result = evaluation(logits, truth)
    assert result.map == pytest.approx(100 * np.mean(wanted), rel=1e-12)
    assert result.figures()["map"] == result.score == result.map
    assert [row["ap"] for row in result.per_class()] == pytest.approx([*(100 * ap for ap in wanted), None])
    assert (result.count, result.loss) == (120, 0.5)


def test_average_precision_of_hand_worked_rankings() -> None:
    assert average_precision(np.array([3.0, 2.0, 1.0]), np.array([1, 0, 1])) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([1.0, 1.0, 1.0]), np.array([1, 0, 0])) == pytest.approx(1 / 3)
    assert average_precision(np.array([1.0, 2.0]), np.array([0, 0])) is None
    assert average_precision(np.array([1.0, np.nan]), np.array([1, 0])) == 0.0


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.9])
def test_rates_at_a_threshold_are_scikit_learns(threshold: float) -> None:
    logits, truth = data()
    found = 1 / (1 + np.exp(-logits.astype(np.float64))) >= threshold
    result = evaluation(logits, truth, threshold)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        each = precision_recall_fscore_support(truth, found, zero_division=0.0)
        whole = precision_recall_fscore_support(truth, found, average="micro")
    for key, values in zip(("precision", "recall", "f1"), each, strict=False):
        assert [row[key] for row in result.per_class()[:5]] == pytest.approx(100 * values[:5])
    assert list(result.overall().values()) == pytest.approx([100 * value for value in whole[:3]])


def test_rates_of_nothing_are_none() -> None:
    nothing = np.zeros(4, np.int64)
    assert rates(nothing, nothing.astype(bool)) == {"precision": None, "recall": None, "f1": None}
    assert rates(nothing, ~nothing.astype(bool)) == {"precision": 0.0, "recall": None, "f1": 0.0}


def test_the_best_threshold_has_the_largest_f1() -> None:
    logits, truth = data()
    shares = 1 / (1 + np.exp(-logits.astype(np.float64)))
    for index in range(5):
        found = best_threshold(logits[:, index], truth[:, index])
        assert found is not None
        tried = [f1_score(truth[:, index], shares[:, index] >= one) for one in np.unique(shares[:, index])]
        assert f1_score(truth[:, index], shares[:, index] >= found - 1e-12) == pytest.approx(max(tried))
    assert best_threshold(logits[:, 5], truth[:, 5]) is None


@pytest.mark.parametrize("k", [1, 2, 5])
def test_one_of_the_labels_is_among_the_first(k: int) -> None:
    logits, truth = data(step=1e-4)
    order = np.argsort(-logits, axis=1)[:, :k]
    wanted = int(np.take_along_axis(truth, order, axis=1).any(axis=1).sum())
    assert 0 < wanted < len(truth)
    assert correct_in_top(logits, truth, k) == wanted
    result = evaluation(logits, truth)
    assert {1: result.top1, 5: result.top5}.get(k, 100 * wanted / 120) == pytest.approx(100 * wanted / 120)


def test_ties_nan_and_images_without_labels_are_never_right() -> None:
    truth = np.array([[1, 0, 0], [0, 0, 0]])
    assert correct_in_top(np.zeros((2, 3), np.float32), truth, 1) == 0
    assert correct_in_top(np.full((2, 3), np.nan, np.float32), truth, 5) == 0
    assert correct_in_top(np.zeros((2, 3), np.float32), np.array([[1, 1, 1], [1, 1, 1]]), 1) == 2


def test_images_that_cannot_be_read_are_left_out() -> None:
    logits, truth = data()
    result = MultiLabelEvaluation(NAMES, truth, np.zeros(1))
    kept = np.arange(40, 120)
    result.add(8.0, logits[kept], truth[kept], kept)
    alone = evaluation(logits[kept], truth[kept])
    assert (result.count, result.map, result.loss) == (80, alone.map, 0.1)
