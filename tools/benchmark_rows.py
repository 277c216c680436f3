"""The rows of a benchmark: which backends there are, how they are timed and what their answers are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from contender import Contender, Entry
from evaluation import Evaluated
from numpy.typing import NDArray
from runtimes import installed

from ppresnet.bundle import JSON, ONNX, PARAMS, PDMODEL, Bundle
from ppresnet.errors import PpresnetError

# A sleeping process finds its caches cold, so each turn begins with calls that do not count.
WARMUP, CALLS = 3, 5
_FILES = {"json": (JSON, PARAMS), "pdmodel": (PDMODEL, PARAMS), "onnx": (ONNX,)}


class Rival:
    """An entry in its own process, and what was found out about it; the first failure becomes its status.

    Args:
        bundle: verified.
        entry: the backend, precision and format.
    """

    def __init__(self, bundle: Bundle, entry: Entry) -> None:
        self.bundle, self.entry, self.status = bundle, entry, "ok"
        self.found: dict[str, float | None] = {}
        self.times: list[float] = []
        self.predicted: NDArray[np.int64] | None = None
        self._contender: Contender | None = None

    @property
    def title(self) -> str:
        """Backend with format and precision."""
        return f"{backend_name(self.entry)} {self.entry.precision}"

    @property
    def contender(self) -> Contender:
        """Its process, started and loaded the first time. Raises CheckFailedError when that fails."""
        if self._contender is None:
            self._contender = Contender(self.bundle.path)
            self._contender.open(self.entry)
        return self._contender

    def attempt(self, work: Callable[[Rival], None]) -> None:
        """Do something with it unless it has failed; it sleeps afterwards."""
        if self.status != "ok":
            return
        try:
            work(self)
            self.contender.sleep()
        except PpresnetError as error:
            self.status = str(error)
            self.end()

    def end(self) -> None:
        """End its process."""
        if self._contender is not None:
            self._contender.end()
            self._contender = None

    def row(self, batch: int) -> dict[str, Any]:
        """Return its row; times in milliseconds, shares in percent, None where nothing was measured."""
        p50, p95 = (float(np.percentile(self.times, q)) if self.times else None for q in (50, 95))
        return {
            "backend": backend_name(self.entry),
            "precision": self.entry.precision,
            "batch": batch,
            "threads": self.entry.threads,
            "status": self.status,
            "p50_ms": p50,
            "p95_ms": p95,
            "images_per_second": 1e3 * batch / p50 if p50 else None,
            "rel_diff": self.found.get("rel_diff"),
            "top1_agreement": self.found.get("top1_agreement"),
            "top1": self.found.get("top1"),
        }


def backend_name(entry: Entry) -> str:
    """Return the name in the table: `paddle onednn (json)`, `onnxruntime`."""
    return f"{entry.backend} ({entry.format})" if entry.backend.startswith("paddle") else entry.backend


def entries(bundle: Bundle, threads: int, batch: int) -> list[Entry]:
    """Return what is timed, the reference first; OpenVINO itself only where it is installed.

    A quantised bundle has int8 rows only: run in float it would keep its quantisers.
    """
    if bundle.precision == "int8":
        return [Entry("paddle onednn", "int8", "pdmodel", threads), Entry("onnxruntime", "int8", "onnx", threads)]
    kinds = [("paddle native", "fp32"), ("paddle onednn", "fp32"), ("paddle onednn", "bf16")]
    found = [
        Entry(backend, precision, format, threads)
        for backend, precision in kinds
        for format in reversed(bundle.formats)
    ]
    found += [Entry("paddle openvino", precision, "pdmodel", threads) for precision in ("fp32", "bf16")]
    found.append(Entry("onnxruntime", "fp32", "onnx", threads))
    if installed("openvino"):
        format = "onnx" if ONNX in bundle.deploy.files else "pdmodel"
        found += [Entry("openvino", precision, format, threads, batch) for precision in ("fp32", "bf16")]
    return found


def fidelity(rival: Rival, batch: int) -> None:
    """Note the relative difference from the golden outputs and the share of equal top-1 classes, in batches of `batch`.

    Raises:
        CheckFailedError: it failed, or its output cannot be right.
    """
    inputs, expected = rival.bundle.golden()
    logits = _in_batches(rival, inputs, batch)
    if not np.isfinite(logits).all() or not logits.any():
        raise PpresnetError("the output has NaN or infinity, or is all zero")
    rival.found["rel_diff"] = float(np.abs(logits - expected).max() / np.abs(expected).max())
    rival.found["top1_agreement"] = 100.0 * float((logits.argmax(1) == expected.argmax(1)).mean())


def accuracy(rival: Rival, evaluated: Evaluated, reference: Rival, batch: int) -> None:
    """Note the top-1 on labelled images, and how often it names the class that the reference names.

    Raises:
        CheckFailedError: it failed.
    """
    rival.predicted = _in_batches(rival, evaluated.images, batch).argmax(1)
    rival.found["top1"] = 100.0 * float((rival.predicted == evaluated.labels).mean())
    agreed = rival.predicted == reference.predicted if reference.predicted is not None else None
    rival.found["top1_agreement"] = None if agreed is None else 100.0 * float(np.mean(agreed))


def time_all(rivals: Sequence[Rival], images_NCHW: NDArray[np.float32], rounds: int) -> None:
    """Time everyone in turn, round by round, so that a slow minute of the machine hits all alike."""

    def turn(rival: Rival) -> None:
        rival.times += rival.contender.time(images_NCHW, WARMUP, CALLS)

    for number in range(rounds):
        for rival in rivals[:: -1 if number % 2 else 1]:
            rival.attempt(turn)


def size_mb(rival: Rival) -> float | None:
    """Return the size of the files that an entry reads, in MB of 10^6 bytes; None where the bundle lacks them."""
    names, found = _FILES[rival.entry.format], rival.bundle.deploy.files
    if any(name not in found for name in names):
        return None
    return sum(found[name].size for name in names) / 1e6


def _in_batches(rival: Rival, images: NDArray[np.float32], batch: int) -> NDArray[np.float32]:
    """Run images in batches of exactly `batch`, the last filled up: an entry may be compiled for that alone."""
    count = len(images)
    padded = np.concatenate([images, images[:1].repeat(-count % batch, 0)])
    return np.concatenate([rival.contender.run(padded[start : start + batch]) for start in range(0, count, batch)])[
        :count
    ]
