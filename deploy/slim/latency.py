"""Milliseconds of networks of a spec on a named backend, each timed in turn with the network it is cut from."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from math import comb
from pathlib import Path

import numpy as np

from deploy.inference.runtime import Runtime
from deploy.inference.session import Session
from deploy.inference.timing import Timing, interleaved
from deploy.slim.plan_file import Latency
from ppresnet.errors import RequestError
from ppresnet.export.freeze import freeze
from ppresnet.models import build
from ppresnet.spec import ModelSpec

Pass = Callable[[], object]
CONFIDENCE = 0.95
ROUND_MS, MOST = 100.0, 25  # passes of the first network to one round: so many milliseconds of them, or this number


class Stopwatch:
    """Times networks with random weights, since speed does not depend on them.

    The first spec it is given is the measure of the others: each is timed in turn with it, and its time is the first
    one's times the median ratio of the rounds, so that a slow minute of the machine does not count. A round has several
    passes where they are short, and counts the fastest: among other processes, which the scheduler lets run for some
    milliseconds, half the passes of a network may be interrupted and fewer of a smaller one.

    Args:
        runtime: backend, precision and threads, all named.
        batch: images of a pass.
        rounds: of timed passes, after a warm-up.
        opened: gives the forward pass of a spec; None for the pass of a frozen program under the runtime.
        clock: gives seconds.

    Raises:
        RequestError: there is no batch or no round, or the threads are not said.
    """

    def __init__(
        self,
        runtime: Runtime,
        batch: int = 1,
        rounds: int = 30,
        opened: Callable[[ModelSpec], Pass] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        for name, count in (("batch", batch), ("rounds", rounds), ("threads", runtime.threads or 0)):
            if count < 1:
                raise RequestError(f"latency: expected {name} of at least 1, found {count}")
        self.runtime, self.batch, self.rounds = runtime, batch, rounds
        self._opened, self._clock = opened or self.frozen, clock
        self._first: tuple[Pass, float] | None = None
        self._passes = 0

    def __call__(self, spec: ModelSpec) -> float:
        """Return milliseconds."""
        run = self._opened(spec)
        if self._first is None:
            self._first = run, self._in_turn(run)[0].p50_ms
            return self._first[1]
        first, alone = self._first
        return float(np.median(ratios(*self._in_turn(first, run)))) * alone

    def compare(self, before: ModelSpec, after: ModelSpec) -> Latency:
        """Return how long two networks take, both opened anew and timed in turn."""
        times = self._in_turn(self._opened(before), self._opened(after))
        found = ratios(*times)
        low, high = median_interval(found)
        return Latency(
            backend=self.runtime.backend,
            precision=self.runtime.precision,
            threads=self.runtime.threads or 0,
            batch=self.batch,
            rounds=self.rounds,
            passes=self._passes,
            before_ms=times[0].p50_ms,
            after_ms=times[1].p50_ms,
            ratio=float(np.median(found)),
            low=low,
            high=high,
        )

    def _in_turn(self, *runs: Pass) -> list[Timing]:
        if not self._passes:
            shortest = min(interleaved({"first": runs[0]}, 10, clock=self._clock)["first"].times_ms)
            self._passes = int(min(max(np.ceil(ROUND_MS / shortest), 1), MOST))
        contenders = {str(number): run for number, run in enumerate(runs)}
        found = interleaved(contenders, self.rounds * self._passes, clock=self._clock)
        return [fastest(timing, self._passes) for timing in found.values()]

    def frozen(self, spec: ModelSpec) -> Pass:
        """Return the forward pass of a frozen network of this spec under the runtime."""
        shape = (spec.in_channels, spec.input_size, spec.input_size)
        model = build(spec)
        model.eval()
        with tempfile.TemporaryDirectory() as folder:
            freeze(model, Path(folder), shape, ["pdmodel"])
            session = Session(Path(folder), self.runtime)
        images = np.random.default_rng(0).standard_normal((self.batch, *shape)).astype(np.float32)
        return lambda: session(images)


def fastest(timing: Timing, passes: int) -> Timing:
    """Return the shortest of so many times in a row each."""
    return Timing(tuple(np.reshape(timing.times_ms, (-1, passes)).min(axis=1).tolist()))


def ratios(before: Timing, after: Timing) -> list[float]:
    """Return the time after over the time before, round by round."""
    return [late / early for early, late in zip(before.times_ms, after.times_ms, strict=True)]


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return an interval that holds the median with this confidence at least, whatever the distribution.

    Its ends are order statistics: the r-th smallest and the r-th largest value enclose the median unless fewer than r
    of n fair coins fall on one side (David and Nagaraja, Order Statistics, section 7.1). Too few values for the
    confidence give their whole range.

    Args:
        values: independent measurements, at least one.
        confidence: in (0, 1).
    """
    ordered, count = sorted(values), len(values)
    beyond = np.cumsum([2 * comb(count, rank) / 2**count for rank in range((count + 1) // 2)])
    rank = max(int((beyond <= 1 - confidence).sum()) - 1, 0)
    return ordered[rank], ordered[count - 1 - rank]
