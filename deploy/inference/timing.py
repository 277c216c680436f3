"""Latencies that can be compared: warm-up, then interleaved rounds, so that a slow minute hits all alike."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timing:
    """The times of one contender in milliseconds, in the order of the rounds."""

    times_ms: tuple[float, ...]

    @property
    def p50_ms(self) -> float:
        """The median."""
        return float(np.percentile(self.times_ms, 50))

    @property
    def p95_ms(self) -> float:
        """The time that 95 of 100 calls stayed below."""
        return float(np.percentile(self.times_ms, 95))

    def images_per_second(self, batch: int) -> float:
        """Return the throughput at the median time of a batch."""
        return batch / self.p50_ms * 1e3


def interleaved(
    contenders: Mapping[str, Callable[[], object]],
    rounds: int = 30,
    warmup: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Return how long each contender takes; every round calls each once.

    Args:
        contenders: calls without arguments, by name.
        rounds: timed calls of each.
        warmup: untimed calls of each, before the first round.
        clock: gives seconds.
    """
    for call in contenders.values():
        for _ in range(warmup):
            call()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds):
        # Every other round runs backwards, so that nobody always follows the same neighbour's cache.
        for name in list(contenders)[:: -1 if turn % 2 else 1]:
            start = clock()
            contenders[name]()
            times[name].append((clock() - start) * 1e3)
    return {name: Timing(tuple(values)) for name, values in times.items()}
