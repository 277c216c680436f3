from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from ppresnet.export.parity import Candidate, check_parity, failed_formats, relative_difference

Array = NDArray[np.float32]
WEIGHT = np.random.default_rng(1).normal(size=(48, 10)).astype(np.float32)
INPUTS = {
    "random": np.random.default_rng(2).normal(size=(4, 3, 4, 4)).astype(np.float32),
    "real": np.random.default_rng(3).normal(size=(4, 3, 4, 4)).astype(np.float32),
}


def network(images: Array) -> Array:
    return images.reshape(len(images), -1) @ WEIGHT


def candidate(run: Callable[[Array], Array]) -> Candidate:
    return Candidate("onnx", "a runtime", lambda: run)


def statuses(run: Callable[[Array], Array], tolerance: float = 1e-4) -> list[str]:
    return [row.status for row in check_parity(network, [candidate(run)], INPUTS, tolerance)]  # type: ignore[arg-type]


def test_rows_cover_batches_and_inputs() -> None:
    seen: list[Array] = []

    def run(images: Array) -> Array:
        seen.append(images)
        return network(images)

    rows = check_parity(network, [candidate(run)], INPUTS)  # type: ignore[arg-type]
    assert [(row.data, row.batch) for row in rows] == [("random", 1), ("random", 3), ("real", 1), ("real", 3)]
    assert {row.status for row in rows} == {"ok"}
    assert {(row.format, row.runtime, row.limit, row.rel_diff) for row in rows} == {("onnx", "a runtime", 1e-4, 0.0)}
    # Together the two batches use all four images: a runtime that repeats its first answer is caught.
    np.testing.assert_array_equal(np.concatenate(seen[:2]), INPUTS["random"])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda images: network(images) * np.float32(np.nan), "it gave NaN"),
        (lambda images: network(images) + np.float32(np.inf), "it gave NaN or infinity"),
        (lambda images: network(images) * 0, "only zeros"),
        (lambda images: network(images)[:, :9], "found \\[1, 9\\]|found \\[3, 9\\]"),
        (lambda images: network(images) * np.float32(1.001), "differs by 1.0e-03"),
        (lambda images: network(images[::-1]), "ok|differs"),
        (lambda images: 1 / 0, "cannot be run: ZeroDivisionError"),
    ],
)
def test_wrong_answers_are_named(wrong: Callable[[Array], Array], reason: str) -> None:
    import re

    found = statuses(wrong)
    assert all(re.search(reason, status) for status in found)
    assert found[1] != "ok"


def test_one_nan_among_many_does_not_pass() -> None:
    def run(images: Array) -> Array:
        logits = network(images)
        logits[-1, -1] = np.nan
        return logits

    assert "ok" not in statuses(run, tolerance=1e9)


@pytest.mark.parametrize("factor", [0.0, np.nan])
def test_a_network_that_answers_nothing_passes_nothing(factor: float) -> None:
    rows = check_parity(lambda images: network(images) * np.float32(factor), [candidate(network)], INPUTS)  # type: ignore[arg-type]
    assert len(rows) == 4 and all("the network itself" in row.status for row in rows)


def test_what_cannot_be_loaded_is_rows_and_the_next_one_still_runs() -> None:
    def fail() -> Callable[[Array], Array]:
        raise OSError("no such engine\nlast line")

    rows = check_parity(network, [Candidate("json", "x", fail), candidate(network)], INPUTS)  # type: ignore[arg-type]
    assert [row.status for row in rows] == ["cannot be loaded: OSError: last line"] * 4 + ["ok"] * 4
    assert failed_formats(rows) == ("json",)


def test_relative_difference() -> None:
    reference = np.array([[1, -8, 2]], np.float32)
    assert relative_difference(reference + np.array([[0, 0.5, -2]], np.float32), reference) == 0.25
    assert np.isnan(relative_difference(reference, reference * 0))
    assert np.isnan(relative_difference(reference * np.float32(np.nan), reference))


def test_the_limit_itself_passes() -> None:
    reference = np.array([[4.0, 1.0]], np.float32)
    run = lambda images: reference.repeat(len(images), 0) + np.array([[0, 1]], np.float32)  # noqa: E731
    for tolerance, expected in ((0.25, "ok"), (0.2499, "differs")):
        rows = check_parity(lambda images: reference.repeat(len(images), 0), [candidate(run)], INPUTS, tolerance)  # type: ignore[arg-type]
        assert len(rows) == 4 and all(row.status.startswith(expected) for row in rows)
