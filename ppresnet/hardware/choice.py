"""The arithmetic: which candidate is best, from measurements alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ppresnet.hardware.measurement import Measurement, Prober

# AVX2, AVX-512 and AVX-512 with VNNI. 6 and 8 are Xeon Phi's: 8 dies on other CPUs, 6 runs, but its library may hold
# instructions that no other CPU has.
MKL_TYPES = (None, "5", "7", "9")
CLEARLY_FASTER = 1.05


@dataclass(frozen=True)
class Choice:
    """The best candidate: MKL type, threads, and gain over Paddle's defaults (None: nothing was compared)."""

    mkl: str | None
    threads: int
    gain: float | None


def thread_counts(cores: int) -> tuple[int, ...]:
    """Return the thread counts worth trying: 1, 4, 16, ... below `cores`, and `cores`."""
    return tuple(sorted({4**power for power in range(6) if 4**power < cores} | {cores}))


def decide(mkl_types: Sequence[str | None], counts: Sequence[int], prober: Prober) -> tuple[Choice, str]:
    """Measure every candidate and Paddle's defaults with `prober`, and choose."""
    stock = prober(None, 1)
    candidates = [prober(mkl, count) for count in counts for mkl in mkl_types]
    broken = sorted({f"type {m.mkl or 'unset'} {m.problem}" for m in candidates if m.problem})
    why = "matrix products measured" if len(broken) < len(candidates) else "no candidate could be measured"
    return choose(stock, candidates), f"{why} ({', '.join(broken)})" if broken else why


def choose(stock: Measurement, candidates: Sequence[Measurement]) -> Choice:
    """Return the fastest candidate, where MKL's own kernels and fewer threads win unless others are faster.

    The gain of a candidate is the geometric mean, over all products, of the time of `stock` over its time. A type is
    taken over unset only when it is at least `CLEARLY_FASTER` at the same number of threads.

    Args:
        stock: Paddle's defaults: MKL type unset, one thread.
        candidates: all that may be chosen, at least one; those with a problem are not.
    """
    if stock.problem or all(candidate.problem for candidate in candidates):
        first = candidates[0]
        return Choice(first.mkl, first.threads, None)
    picks = []
    for threads in sorted({candidate.threads for candidate in candidates if not candidate.problem}):
        gains = {m.mkl: gain_over(stock, m) for m in candidates if m.threads == threads and not m.problem}
        most = max(gains.values())
        # Of equals the last, which has the newest kernels: a whole training step gains a little more from them.
        mkl = [name for name, gain in gains.items() if gain * CLEARLY_FASTER > most][-1]
        if None in gains and most < CLEARLY_FASTER * gains[None]:
            mkl = None
        picks.append((gains[mkl], -threads, mkl))
    gain, fewer, mkl = max(picks, key=lambda pick: pick[:2])
    return Choice(mkl, -fewer, gain)


def gain_over(stock: Measurement, other: Measurement) -> float:
    """Return the geometric mean of the ratios of times: 2.0 when `other` is twice as fast as `stock`."""
    ratios = [math.log(slow / fast) for slow, fast in zip(stock.seconds, other.seconds, strict=True)]
    return math.exp(sum(ratios) / len(ratios))
