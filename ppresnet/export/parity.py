"""Whether every format answers as the network it was made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ppresnet.bundle import ParityRow

Runner = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Kind = Literal["random", "real"]

# Where the batch of 1 and the batch of 3 begin and end.
BATCHES = (slice(0, 1), slice(1, 4))
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Candidate:
    """A format under a runtime; `open` loads it and gives float32 [batch, ...] images → logits [batch, classes]."""

    format: str
    runtime: str
    open: Callable[[], Runner]


def relative_difference(found: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Return max|found - reference| / max|reference|, in float64; NaN where either has one or the reference is zero."""
    scale = np.abs(reference.astype(np.float64)).max()
    if scale == 0 or not np.isfinite(scale):
        return float("nan")
    return float(np.abs(found.astype(np.float64) - reference).max() / scale)


def check_parity(
    reference: Runner,
    candidates: Sequence[Candidate],
    inputs: Mapping[Kind, NDArray[np.float32]],
    tolerance: float = TOLERANCE,
) -> tuple[ParityRow, ...]:
    """Compare every candidate with the reference on every kind of input, at batch 1 and 3.

    A candidate that cannot be loaded or run gives rows with the reason as their status; it never raises.

    Args:
        reference: the dygraph network.
        candidates: what is to be checked.
        inputs: float32 [at least 4, channels, size, size]; the first is the batch of 1, the next three that of 3.
        tolerance: largest relative difference that passes.
    """
    batches = [(kind, images[part]) for kind, images in inputs.items() for part in BATCHES]
    expected = [reference(images) for _, images in batches]
    rows = []
    for candidate in candidates:
        runner = _opened(candidate)
        for (kind, images), logits in zip(batches, expected, strict=True):
            difference, status = _compare(runner, images, logits, tolerance)
            rows.append(
                ParityRow(
                    format=candidate.format,
                    runtime=candidate.runtime,
                    batch=len(images),
                    data=kind,
                    rel_diff=difference,
                    limit=tolerance,
                    status=status,
                )
            )
    return tuple(rows)


def failed_formats(rows: Sequence[ParityRow]) -> tuple[str, ...]:
    """Return the formats with a row that did not pass, in order of appearance."""
    return tuple(dict.fromkeys(row.format for row in rows if row.status != "ok"))


def _opened(candidate: Candidate) -> Runner | str:
    try:
        return candidate.open()
    except Exception as error:  # whatever a foreign runtime raises is a finding, not the end of the check
        return f"cannot be loaded: {_short(error)}"


def _compare(
    runner: Runner | str, images: NDArray[np.float32], expected: NDArray[np.float32], tolerance: float
) -> tuple[float | None, str]:
    if isinstance(runner, str):
        return None, runner
    try:
        found = np.asarray(runner(images))
    except Exception as error:  # as above
        return None, f"cannot be run: {_short(error)}"
    if reason := _impossible(expected):
        return None, f"the network itself gave {reason}"
    if found.shape != expected.shape:
        return None, f"expected an output of shape {list(expected.shape)}, found {list(found.shape)}"
    if reason := _impossible(found):
        return None, f"it gave {reason}"
    difference = relative_difference(found, expected)
    return difference, "ok" if difference <= tolerance else f"differs by {difference:.1e}, more than {tolerance:g}"


def _impossible(logits: NDArray[np.float32]) -> str:
    if not np.isfinite(logits).all():
        return "NaN or infinity"
    return "" if np.any(logits) else "only zeros"


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1] if lines else 'no message'}"[:300]
