"""Calibration error against a loop over images, a hand-worked case and data that is calibrated by construction."""

import numpy as np
import pytest

from ppresnet.train.calibration import BINS, Calibration, bins_of, confidences
from ppresnet.train.metrics import Evaluation

CLASSES = tuple("abcdefg")


def calibration_of(logits: np.ndarray, labels: np.ndarray, parts: int = 3, binary: bool = False) -> Calibration:
    result = Evaluation.empty(CLASSES, parts, binary)
    for number, part in enumerate(np.array_split(np.arange(len(labels)), parts)):
        result.add(0.0, logits[part], labels[part], part, number)
    return result.calibration


def by_hand(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the error by the text of the paper, image by image, in percent."""
    held: list[list[tuple[float, bool]]] = [[] for _ in range(15)]
    for row, label in zip(logits.astype(np.float64), labels, strict=True):
        shares = np.exp(row) / np.exp(row).sum()
        answer = int(shares.argmax())
        for m in range(15):
            if m / 15 < shares[answer] <= (m + 1) / 15:
                held[m].append((shares[answer], answer == label))
    gaps = [
        len(one) / len(labels) * abs(np.mean([right for _, right in one]) - np.mean([share for share, _ in one]))
        for one in held
        if one
    ]
    return 100.0 * float(np.sum(gaps))


def test_ece_is_that_of_the_paper() -> None:
    rng = np.random.default_rng(1)
    logits, labels = (3 * rng.standard_normal((500, 7))).astype(np.float32), rng.integers(0, 7, 500)
    wanted = by_hand(logits, labels)
    assert wanted > 10.0
    assert calibration_of(logits, labels).ece == pytest.approx(wanted, rel=1e-9)
    assert calibration_of(logits, labels, parts=1).ece == pytest.approx(wanted, rel=1e-9)


def test_two_images_by_hand() -> None:
    # Confidence 0.9 and right, 0.6 and wrong: (0.1 + 0.6) / 2.
    logits = np.log(np.array([[0.9, 0.1], [0.6, 0.4]], np.float32))
    found = calibration_of(logits, np.array([0, 1]))
    assert found.ece == pytest.approx(35.0, rel=1e-5)
    rows = [row for row in found.rows() if row["images"]]
    assert [(row["images"], row["top1"]) for row in rows] == [(1, 0.0), (1, 100.0)]
    assert [row["confidence"] for row in rows] == pytest.approx([60.0, 90.0], rel=1e-5)
    assert all(row["above"] < row["confidence"] <= row["up_to"] for row in rows)
    assert len(found.rows()) == BINS == 15


def test_labels_drawn_from_the_network_are_calibrated() -> None:
    rng = np.random.default_rng(2)
    logits = rng.standard_normal((20_000, 7)).astype(np.float32)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random((20_000, 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(max=6)
    assert calibration_of(logits, labels).ece < 2.0
    assert calibration_of(4 * logits, labels).ece > 20.0


def test_confidence_of_yes_or_no_answers_is_the_sigmoid_and_nothing_overflows() -> None:
    logits = np.array([[0.5, -1.0], [-200.0, -300.0], [900.0, 1000.0]], np.float32)
    np.testing.assert_allclose(confidences(logits, binary=True), [1 / (1 + np.exp(-0.5)), np.exp(-200.0), 1.0])
    np.testing.assert_allclose(confidences(logits, binary=False), [1 / (1 + np.exp(-1.5)), 1.0, 1.0])


def test_a_bin_has_its_upper_bound() -> None:
    assert bins_of(np.array([0.0, 1e-9, 1 / 15, 1 / 15 + 1e-9, 1.0, np.nan])).tolist() == [0, 0, 0, 1, 14, 14]
