"""Times the matrix products of ResNets with one MKL kernel choice and thread count, in a process of its own.

A kernel that the CPU cannot run kills its process, so `measure` starts this file as a program for each candidate. It
calls the wheel's own MKLML through ctypes, which takes half a second, where importing Paddle takes several.
"""

import ctypes
import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ppresnet.errors import StorageError

CACHE_VERSION, KEPT_MACHINES = 1, 32
MKL_VARIABLE = "MKL_DEBUG_CPU_TYPE"
THREADS_VARIABLE = "OMP_NUM_THREADS"

# Paddle multiplies [out, in * k * k] by [in * k * k, h * w] image by image. First the three stages of ResNet-20 at
# 32 x 32, then a layer of each stage of ResNet-50 at 224 x 224, 3 x 3 and 1 x 1 in turn.
CONVOLUTIONS = (
    (16, 144, 1024), (32, 288, 256), (64, 576, 64),
    (64, 576, 3136), (512, 128, 784), (256, 2304, 196), (2048, 512, 49),
)  # fmt: skip
PRODUCTS = len(CONVOLUTIONS) * 3
PASSES, PRODUCT_S = 6, 0.001
TOLERANCE = 1e-4
TIME_LIMIT_S = 20.0
ENOUGH_SHARE = 0.8
ENOUGH_ROUNDS = 3
_ROW_MAJOR, _PLAIN, _TRANSPOSED = 101, 111, 112


@dataclasses.dataclass(frozen=True)
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
        """Both measurements as one: the faster time of each product."""
        rounds = self.rounds + later.rounds
        if not (self.seconds and later.seconds):
            return dataclasses.replace(self if self.seconds else later, rounds=rounds)
        fastest = tuple(map(min, self.seconds, later.seconds))
        return dataclasses.replace(later, seconds=fastest, share=max(self.share, later.share), rounds=rounds)


Prober = Callable[[str | None, int], Measurement]


def measure(library: Path, mkl: str | None, threads: int, limit_s: float = TIME_LIMIT_S) -> Measurement:
    """Measures one candidate in a fresh process; a killed, hanging or wrong one comes back with a `problem`.

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
    command = [sys.executable, "-m", "ppresnet.hardware_probe", str(library)]
    root = Path(__file__).resolve().parent.parent
    try:
        done = subprocess.run(  # noqa: S603 - our own program; the values come from `hardware`
            command, env=environment, cwd=root, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        return Measurement(mkl, threads, share=0.0, problem=f"took longer than {limit_s:g} s")
    except OSError as error:
        return Measurement(mkl, threads, share=0.0, problem=f"did not start: {error}")
    return judge(mkl, threads, done.returncode, done.stdout, done.stderr)


def judge(mkl: str | None, threads: int, returncode: int, stdout: str, stderr: str) -> Measurement:
    """Reads what a probe process left behind; its results must agree with float64 to `TOLERANCE`."""
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


class ProbeCache:
    """Measurements of this machine, kept in a file between runs.

    A file that is missing, broken or not ours is as good as empty; `save` writes a good one in its place.

    Args:
        identity: all that a measurement depends on besides its candidate: CPU, library, cores.
        prober: measures one candidate, `(mkl, threads) -> Measurement`.
        path: the file; None: `hardware.json` in the user's cache folder.
    """

    def __init__(self, identity: str, prober: Prober, path: Path | None = None) -> None:
        """Reads the file."""
        self._key = hashlib.sha256(f"{identity} {PRODUCTS} {CONVOLUTIONS}".encode()).hexdigest()
        self._prober = prober
        self._path = path or cache_path()
        self._known = {(m.mkl, m.threads): m for m in _kept(_read(self._path).get(self._key))}
        self._measured: set[tuple[str | None, int]] = set()

    def measurement(self, mkl: str | None, threads: int) -> Measurement:
        """The measurement of one candidate, made now unless a settled one is known."""
        candidate = (mkl, threads)
        known = self._known.get(candidate)
        if candidate not in self._measured and not (known and known.settled):
            new = self._prober(mkl, threads)
            self._known[candidate] = known.merged(new) if known else new
            self._measured.add(candidate)
        return self._known[candidate]

    def save(self) -> str:
        """Writes what was measured now, and says how that went in a few words; never raises."""
        if not self._measured:
            return "known from before"
        from ppresnet.files import atomic_write

        machines = _read(self._path)
        machines[self._key] = [dataclasses.asdict(m) for m in self._known.values()]
        newest = dict(list(machines.items())[-KEPT_MACHINES:])
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(self._path, json.dumps({"version": CACHE_VERSION, "machines": newest}, indent=1) + "\n")
        except (OSError, StorageError) as error:
            return f"not kept for the next run: {error}"
        unsettled = not all(m.settled for m in self._known.values())
        return "the cores were busy, so the next run measures again" if unsettled else f"kept in {self._path}"


def cache_path() -> Path:
    """`ppresnet/hardware.json` under XDG_CACHE_HOME or `~/.cache`."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (folder if folder.is_absolute() else Path("~/.cache").expanduser()) / "ppresnet" / "hardware.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    ours = isinstance(found, dict) and found.get("version") == CACHE_VERSION and isinstance(found.get("machines"), dict)
    return dict(found["machines"]) if ours else {}


def _kept(entries: Any) -> list[Measurement]:  # noqa: ANN401 - JSON of unknown shape
    """The measurements of one machine; none when any of them is not one of ours."""
    try:
        kept = [Measurement(**{**entry, "seconds": tuple(entry["seconds"])}) for entry in entries]
        return kept if all(map(_plausible, kept)) else []
    except (TypeError, KeyError, ValueError):
        return []


def _plausible(m: Measurement) -> bool:
    times = all(isinstance(s, float) and 0 < s < TIME_LIMIT_S for s in m.seconds)
    types = (m.mkl is None or isinstance(m.mkl, str)) and isinstance(m.problem, str) and isinstance(m.share, float)
    counts = type(m.threads) is int and type(m.rounds) is int and len(m.seconds) == (0 if m.problem else PRODUCTS)
    return times and types and counts


@dataclasses.dataclass(frozen=True)
class _Product:
    """One call of sgemm, `c = a b`, with either side stored transposed."""

    a: np.ndarray[Any, np.dtype[np.float32]]
    b: np.ndarray[Any, np.dtype[np.float32]]
    c: np.ndarray[Any, np.dtype[np.float32]]
    turned: tuple[bool, bool]

    def run(self, sgemm: Any) -> None:  # noqa: ANN401 - a ctypes function
        """Calls cblas_sgemm."""
        (rows, columns), inner = self.c.shape, self.a.shape[0 if self.turned[0] else 1]
        sides = (_TRANSPOSED if turned else _PLAIN for turned in self.turned)
        a, b, c = (ctypes.c_void_p(matrix.ctypes.data) for matrix in (self.a, self.b, self.c))
        one, zero, strides = ctypes.c_float(1), ctypes.c_float(0), (self.a.shape[1], self.b.shape[1], columns)
        sgemm(_ROW_MAJOR, *sides, rows, columns, inner, one, a, strides[0], b, strides[1], zero, c, strides[2])

    def error(self) -> float:
        """Relative difference of `c` from the product in float64."""
        a, b = (x.T if turned else x for x, turned in zip((self.a, self.b), self.turned, strict=True))
        exact = a.astype(np.float64) @ b.astype(np.float64)
        return float(np.abs(self.c - exact).max() / np.abs(exact).max())


def _products() -> Iterator[_Product]:
    rng = np.random.default_rng(0)
    for out, inner, pixels in CONVOLUTIONS:
        weight, columns, gradient = (
            rng.uniform(-1, 1, shape).astype(np.float32) for shape in ((out, inner), (inner, pixels), (out, pixels))
        )
        for a, b, turned, shape in (
            (weight, columns, (False, False), (out, pixels)),
            (gradient, columns, (False, True), (out, inner)),
            (weight, gradient, (True, False), (inner, pixels)),
        ):
            yield _Product(a, b, np.full(shape, np.nan, np.float32), turned)


def _time(product: _Product, sgemm: Any) -> float:  # noqa: ANN401
    best, spent = float("inf"), 0.0
    while spent < PRODUCT_S:
        start = time.perf_counter()
        product.run(sgemm)
        took = time.perf_counter() - start
        best, spent = min(best, took), spent + took
    return best


def main(library: str) -> None:
    """Times every product and prints the seconds, the share of CPU time had and the largest error as JSON."""
    # The wheel's MKLML has no run path, so its OpenMP must be loaded by name first.
    ctypes.CDLL(str(Path(library).with_name("libiomp5.so")), mode=ctypes.RTLD_GLOBAL)
    sgemm = ctypes.CDLL(library).cblas_sgemm
    products = list(_products())
    wall, cpu = time.perf_counter(), time.process_time()
    # Passes far apart in time, because a disturbance outlasts many runs of a small product.
    passes = [[_time(product, sgemm) for product in products] for _ in range(PASSES)]
    wanted = (time.perf_counter() - wall) * int(os.environ[THREADS_VARIABLE])
    share = (time.process_time() - cpu) / wanted
    seconds = [min(times) for times in zip(*passes, strict=True)]
    print(json.dumps({"seconds": seconds, "share": share, "error": max(product.error() for product in products)}))


if __name__ == "__main__":
    main(sys.argv[1])
