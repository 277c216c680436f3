"""One candidate, MKL kernels and a number of threads, measured by `probe.py` in a fresh process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ppresnet.hardware.probe import MKL_VARIABLE, THREADS_VARIABLE

TOLERANCE = 1e-4
TIME_LIMIT_S = 20.0
ENOUGH_SHARE = 0.8
ENOUGH_ROUNDS = 3


@dataclass(frozen=True)
class Measurement:
    """What one candidate did.

    Attributes:
        mkl: the value of MKL_DEBUG_CPU_TYPE; None leaves it unset.
        threads: OpenMP threads.
        seconds: the fastest run of each of the `PRODUCTS` products; empty when there is a problem.
        share: CPU time had over CPU time wanted; well below 1 when others used the cores.
        rounds: how often it was measured; `seconds` is the fastest of all.
        problem: why the candidate cannot be used; empty when it can.
    """

    mkl: str | None
    threads: int
    seconds: tuple[float, ...] = ()
    share: float = 1.0
    rounds: int = 1
    problem: str = ""

    @property
    def settled(self) -> bool:
        """Whether measuring again would teach little: the cores were free, or it was tried often enough."""
        return self.share >= ENOUGH_SHARE or self.rounds >= ENOUGH_ROUNDS

    def merged(self, later: "Measurement") -> "Measurement":
        """Return both measurements as one: the faster time of each product."""
        rounds = self.rounds + later.rounds
        if not (self.seconds and later.seconds):
            return replace(self if self.seconds else later, rounds=rounds)
        fastest = tuple(map(min, self.seconds, later.seconds))
        return replace(later, seconds=fastest, share=max(self.share, later.share), rounds=rounds)


Prober = Callable[[str | None, int], Measurement]


def measure(library: Path, mkl: str | None, threads: int, limit_s: float = TIME_LIMIT_S) -> Measurement:
    """Measure one candidate in a fresh process; a killed, hanging or wrong one comes back with a `problem`.

    Args:
        library: `paddle/libs/libmklml_intel.so` of the installed wheel.
        mkl: the value of MKL_DEBUG_CPU_TYPE, or None.
        threads: OpenMP threads.
        limit_s: seconds after which the process is ended.
    """
    environment = {k: v for k, v in os.environ.items() if k != MKL_VARIABLE}
    # NumPy's own OpenBLAS threads would spin beside the measured ones.
    environment |= {THREADS_VARIABLE: str(threads), "OPENBLAS_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    if mkl is not None:
        environment[MKL_VARIABLE] = mkl
    command = [sys.executable, str(Path(__file__).resolve().with_name("probe.py")), str(library)]
    try:
        done = subprocess.run(  # noqa: S603 - our own program; the values come from `prepare`
            command, env=environment, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        return Measurement(mkl, threads, share=0.0, problem=f"took longer than {limit_s:g} s")
    except OSError as error:
        return Measurement(mkl, threads, share=0.0, problem=f"did not start: {error}")
    return judge(mkl, threads, done.returncode, done.stdout, done.stderr)


def judge(mkl: str | None, threads: int, returncode: int, stdout: str, stderr: str) -> Measurement:
    """Read what a probe process left behind; its results must agree with float64 to `TOLERANCE`."""
    if returncode < 0:
        return Measurement(mkl, threads, problem=f"killed by {signal.Signals(-returncode).name}")
    try:
        found: dict[str, Any] = json.loads(stdout)
        seconds, share, error = tuple(found["seconds"]), float(found["share"]), float(found["error"])
    except (ValueError, KeyError, TypeError):
        last = (stdout + stderr).strip().splitlines()[-1:]
        return Measurement(mkl, threads, problem=f"exit code {returncode}: {last[0] if last else 'no output'}")
    if not error <= TOLERANCE:
        return Measurement(mkl, threads, problem=f"wrong result: relative difference {error:.1e} from float64")
    return Measurement(mkl, threads, seconds, share)
