"""MKL_DEBUG_CPU_TYPE and OMP_NUM_THREADS, put into the environment as the user or the measurements say."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ppresnet.errors import RequestError
from ppresnet.hardware.cache import ProbeCache
from ppresnet.hardware.choice import MKL_TYPES, Choice, decide, thread_counts
from ppresnet.hardware.cores import usable_cores
from ppresnet.hardware.cpu import cpu_identity, cpu_model
from ppresnet.hardware.device import choose_device
from ppresnet.hardware.library import library_identity, mkl_library
from ppresnet.hardware.measurement import measure
from ppresnet.hardware.place import place
from ppresnet.hardware.probe import MKL_VARIABLE, THREADS_VARIABLE


@dataclass(frozen=True)
class Hardware:
    """What was decided for this process.

    Attributes:
        cpu: model name of the CPU.
        mkl_cpu_type: the value of MKL_DEBUG_CPU_TYPE; None when it is unset.
        threads: OpenMP threads of one process.
        device: `cpu` or `gpu`.
        reason: why, one or more clauses separated by `; `.
        gain: speed of matrix products over that with Paddle's defaults (type unset, one thread); None: not measured.
    """

    cpu: str
    mkl_cpu_type: str | None
    threads: int
    device: str
    reason: str
    gain: float | None = None

    def describe(self) -> str:
        """Return one line: `AMD EPYC: MKL type 9 (matrix products 3.6 times the default here), 2 threads; REASON`."""
        gain = f" (matrix products {self.gain:.1f} times the default here)" if self.gain else ""
        mkl = f"MKL type {self.mkl_cpu_type}" if self.mkl_cpu_type else "MKL's own choice"
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        where = "gpu, " if self.device == "gpu" else ""
        return f"{self.cpu}: {where}{mkl}{gain}, {threads}; {self.reason}"


def prepare(device: str = "auto", threads: int | str = "auto") -> Hardware:
    """Decide MKL kernels, threads and device, and put them into the environment; call it before `import paddle`.

    Args:
        device: `auto`, `cpu` or `gpu`.
        threads: `auto` or a number from 1 on; a number wins over OMP_NUM_THREADS.

    Raises:
        RequestError: an argument is none of these, or there is no GPU to use.
    """
    if threads != "auto" and (not isinstance(threads, int) or isinstance(threads, bool) or threads < 1):
        raise RequestError(f"threads: expected 'auto' or a number from 1 on, found {threads!r}; set hardware.threads")
    device = choose_device(device)
    if "paddle" in sys.modules:
        reason = "paddle was imported before, so nothing was changed: call prepare() first"
        return Hardware(cpu_model(), os.environ.get(MKL_VARIABLE) or None, _threads_in_environment(), device, reason)
    mkl_types, counts, kept = _candidates(threads, on_gpu=device == "gpu")
    choice, why = _measured(mkl_types, counts)
    if choice.mkl is not None:
        os.environ[MKL_VARIABLE] = choice.mkl
    os.environ[THREADS_VARIABLE] = str(choice.threads)
    return Hardware(cpu_model(), choice.mkl, choice.threads, device, "; ".join([*kept, why]), choice.gain)


def _threads_in_environment() -> int:
    try:
        return max(1, int(os.environ.get(THREADS_VARIABLE, "1")))
    except ValueError:
        return 1  # as Paddle reads it


def _candidates(threads: int | str, *, on_gpu: bool) -> tuple[tuple[str | None, ...], tuple[int, ...], list[str]]:
    """Return what may be chosen from, and what is not up to us: MKL types, thread counts, reasons."""
    mkl_types: tuple[str | None, ...] = (None,) if on_gpu else MKL_TYPES
    counts = (1,) if on_gpu else thread_counts(max(1, usable_cores() // place().here))
    kept = []
    if MKL_VARIABLE in os.environ:
        mkl_types = (os.environ[MKL_VARIABLE] or None,)
        kept.append(f"{MKL_VARIABLE}={os.environ[MKL_VARIABLE]} kept from the environment")
    if isinstance(threads, int):
        counts = (threads,)
        kept.append(f"{threads} thread{'s' if threads > 1 else ''} asked for")
    elif THREADS_VARIABLE in os.environ:
        counts = (_threads_in_environment(),)
        kept.append(f"{THREADS_VARIABLE}={os.environ[THREADS_VARIABLE]} kept from the environment")
    return mkl_types, counts, kept


def _measured(mkl_types: Sequence[str | None], counts: Sequence[int]) -> tuple[Choice, str]:
    """Return the best of the candidates, and how that is known."""
    if len(mkl_types) == len(counts) == 1:
        return Choice(mkl_types[0], counts[0], None), "nothing left to measure"
    library = mkl_library()
    if library is None:
        # Paddle's other libraries (OpenBLAS) are not built for several threads, so one is what it sets by itself.
        return Choice(mkl_types[0], counts[0], None), "no MKL here, so Paddle's defaults"
    cache = ProbeCache(cpu_identity() + library_identity(library), lambda mkl, count: measure(library, mkl, count))
    choice, why = decide(mkl_types, counts, cache.measurement)
    return choice, "; ".join(filter(None, [why, cache.save()]))
