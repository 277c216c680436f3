"""The proof lets the right network through, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deploy.lite.conversion import Source
from deploy.lite.options import Options
from deploy.lite.prove import compare, failures, prove, prove_nb, run_nb
from ppresnet.bundle import Bundle
from ppresnet.errors import RequestError

Convert = Callable[[str, str], tuple[Path, Path]]
GOLDEN = np.float32([[1, 2, -4], [0.5, 0, 1]])


def status(found: np.ndarray, limit: float = 1e-4) -> str:
    return compare("it", "fp32", 2, np.asarray(found, np.float32), GOLDEN, limit).status


def test_the_difference_is_that_of_the_definition() -> None:
    row = compare("it", "fp32", 2, GOLDEN + np.float32([[0, 0, 1], [0, 0, 0]]), GOLDEN, 0.25)
    assert (row.rel_diff, row.top1_agreement, row.status) == (0.25, 100.0, "ok")
    assert compare("it", "fp32", 2, -GOLDEN, GOLDEN, 9).top1_agreement == 0


def test_what_cannot_be_an_answer_never_passes() -> None:
    assert status(GOLDEN) == "ok"
    assert "all zero" in status(np.zeros_like(GOLDEN), 9)
    for poison in (np.nan, np.inf):
        wrong = GOLDEN.copy()
        wrong[1, 1] = poison
        assert "NaN or infinity" in status(wrong, 9)
    for reference in (np.zeros_like(GOLDEN), np.full_like(GOLDEN, np.nan)):
        assert "golden" in compare("it", "fp32", 2, GOLDEN, reference, 9).status
    assert "shape" in status(GOLDEN[:1], 9)
    assert "at most 0.0001" in status(GOLDEN * np.float32(1.001))


def test_x86_agrees_at_both_batches(convert: Convert, python: Path, bundle: Bundle) -> None:
    rows = prove_nb(python, convert("x86", "fp32")[0], bundle.golden())
    assert [row.batch for row in rows] == [1, 4]
    assert max(row.rel_diff or 0 for row in rows) < 1e-5
    assert failures(rows) == []


def test_another_answer_fails(convert: Convert, python: Path, bundle: Bundle) -> None:
    images, logits = bundle.golden()
    rows = prove_nb(python, convert("x86", "fp32")[0], (images, logits[:, ::-1]))
    assert len(failures(rows)) == 2


@pytest.mark.parametrize("target", ["arm", "opencl,arm"])
def test_a_network_for_another_device_is_not_run(convert: Convert, python: Path, bundle: Bundle, target: str) -> None:
    with pytest.raises(RequestError, match="uninitialised memory"):
        run_nb(python, convert(target, "fp32")[0], bundle.golden()[0], 1)


# A rounded filter value is off by at most half a step of 1 / 127 or 1 / 32767 of the largest of its channel.
@pytest.mark.parametrize(("precision", "low", "high"), [("int8-weights", 1e-4, 5e-2), ("int16-weights", 1e-7, 1e-3)])
def test_rounded_weights_are_proved_with_the_x86_kernels(
    convert: Convert, source: Source, bundle: Bundle, tmp_path: Path, precision: str, low: float, high: float
) -> None:
    rows = prove(source, Options("arm", precision), convert("arm", precision)[1], bundle.golden(), tmp_path)
    assert [row.precision for row in rows] == ["fp32", "fp32", precision, precision]
    assert failures(rows) == []
    assert all(low < (row.rel_diff or 0) < high for row in rows[2:])


def test_fp16_weights_are_proved_too(convert: Convert, source: Source, bundle: Bundle, tmp_path: Path) -> None:
    rows = prove(source, Options("arm", "fp16"), convert("arm", "fp16")[1], bundle.golden(), tmp_path)
    assert failures(rows) == []
    assert all(1e-6 < (row.rel_diff or 0) < 1e-2 for row in rows[2:])
