"""Milliseconds of a network of a spec, on a named backend."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from deploy.inference.runtime import Runtime
from deploy.inference.session import Session
from deploy.inference.timing import interleaved
from ppresnet.export.freeze import freeze
from ppresnet.models import build
from ppresnet.spec import ModelSpec


class Stopwatch:
    """Gives the median milliseconds of one forward pass of a spec with random weights.

    The first spec it is given is the measure of the others: each is timed in turn with it, and its time is scaled by
    how the first one's has changed, so that a slow minute of the machine does not count.

    Args:
        runtime: backend, precision and threads.
        batch: images of a pass.
        rounds: passes that are timed, after a warm-up.
    """

    def __init__(self, runtime: Runtime, batch: int = 1, rounds: int = 30) -> None:
        self.runtime, self.batch, self.rounds = runtime, batch, rounds
        self._first: tuple[Session, np.ndarray, float] | None = None

    def __call__(self, spec: ModelSpec) -> float:
        """Return milliseconds."""
        session, images = self._session(spec)
        if self._first is None:
            taken = interleaved({"first": lambda: session(images)}, self.rounds)["first"].p50_ms
            self._first = (session, images, taken)
            return taken
        first, first_images, taken = self._first
        found = interleaved({"first": lambda: first(first_images), "this": lambda: session(images)}, self.rounds)
        return found["this"].p50_ms * taken / found["first"].p50_ms

    def _session(self, spec: ModelSpec) -> tuple[Session, np.ndarray]:
        shape = (spec.in_channels, spec.input_size, spec.input_size)
        model = build(spec)
        model.eval()
        with tempfile.TemporaryDirectory() as folder:
            freeze(model, Path(folder), shape, ["pdmodel"])
            session = Session(Path(folder), self.runtime)
        images = np.random.default_rng(0).standard_normal((self.batch, *shape)).astype(np.float32)
        return session, images
