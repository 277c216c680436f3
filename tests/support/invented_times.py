"""Measurements that nobody made, for the tests of what is chosen from measurements."""

from ppresnet.hardware.measurement import Measurement
from ppresnet.hardware.probe import PRODUCTS

TABLE = {(None, 1): 8.0, ("5", 1): 4.0, ("7", 1): 3.0, ("9", 1): 2.0, (None, 2): 6.0, ("5", 2): 3.0, ("9", 2): 1.0}


def took(mkl: str | None, threads: int, seconds: float = 0.0, **fields: object) -> Measurement:
    """Return a measurement with this time for every product, by default the one in `TABLE`."""
    times = (seconds or TABLE.get((mkl, threads), 2.5),) * PRODUCTS
    return Measurement(mkl, threads, **{"seconds": times, **fields})  # type: ignore[arg-type]


def broken(mkl: str | None, threads: int, problem: str = "killed by SIGILL") -> Measurement:
    """Return the measurement of a candidate that cannot be used."""
    return Measurement(mkl, threads, problem=problem)


class CountingProber:
    """Answers from `TABLE`, or with what `fields` says, and remembers what it was asked."""

    def __init__(self, **fields: object) -> None:
        self.asked: list[tuple[str | None, int]] = []
        self.fields = fields

    def __call__(self, mkl: str | None, threads: int) -> Measurement:
        self.asked.append((mkl, threads))
        return took(mkl, threads, **self.fields)  # type: ignore[arg-type]
