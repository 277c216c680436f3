"""Every format of a staged bundle under its own runtime, for the parity check."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import TracebackType

from contender import Contender, Entry

from ppresnet.export.parity import Candidate, Runner

# Paddle's passes take time that grows faster than the depth: 215 s for the 1201 convolutions of cifar_resnet1202.
_TIMEOUT_SECONDS = 1800.0


class Jury:
    """The candidates of a parity check; a context manager.

    One process runs them in turn, because starting Paddle takes seconds. When a candidate kills it, that is the finding
    about this candidate, and the next one gets a new process.

    Args:
        directory: a staged bundle.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._contender: Contender | None = None

    def __enter__(self) -> Jury:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End the process."""
        if self._contender is not None:
            self._contender.end()

    def candidates(self, formats: tuple[str, ...], precision: str = "fp32") -> list[Candidate]:
        """Return a candidate per format and runtime: Paddle's native and oneDNN kernels, ONNX Runtime for ONNX.

        With `int8` the native kernels, which would compute in float, are left out.
        """
        from ppresnet.paddle_api import has_onednn  # imports Paddle, which must wait for hardware.prepare

        backends = ("paddle native", "paddle onednn") if has_onednn() else ("paddle native",)
        if precision == "int8":
            backends = ("paddle onednn",)
        programs = [format for format in formats if format != "onnx"]
        entries = [Entry(backend, precision, format) for format in programs for backend in backends]
        entries += [Entry("onnxruntime", precision, "onnx")] * ("onnx" in formats)
        return [Candidate(entry.format, entry.backend, partial(self._open, entry)) for entry in entries]

    def _open(self, entry: Entry) -> Runner:
        if self._contender is not None and not self._contender.alive:
            self._contender.end()
            self._contender = None
        if self._contender is None:
            self._contender = Contender(self._directory, timeout=_TIMEOUT_SECONDS)
        self._contender.open(entry)
        return self._contender.run
