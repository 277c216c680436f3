"""What this machine is: the MKL kernels, the threads and the device to use, decided before `import paddle`.

On the CPU, Paddle (2.6 to 3.3) multiplies matrices with MKLML of 2019, which takes its slowest kernels on a CPU that
Intel did not make. MKL_DEBUG_CPU_TYPE, read once when that library starts, names better ones. Which is best depends on
the CPU, so it is measured by `hardware_probe`, once a machine; what the user set in the environment is kept.
"""

import contextlib
import dataclasses
import importlib
import importlib.metadata
import importlib.util
import io
import math
import os
import platform
import resource
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ppresnet.errors import RequestError
from ppresnet.hardware_probe import MKL_VARIABLE, THREADS_VARIABLE, Measurement, ProbeCache, Prober, measure

# AVX2, AVX-512 and AVX-512 with VNNI. 6 and 8 are Xeon Phi's: 8 dies on other CPUs, 6 runs, but its library may hold
# instructions that no other CPU has.
MKL_TYPES = (None, "5", "7", "9")
CLEARLY_FASTER = 1.05


@dataclasses.dataclass(frozen=True)
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
        """One line: `AMD EPYC: MKL type 9 (matrix products 3.6 times the default here), 2 threads; REASON`."""
        gain = f" (matrix products {self.gain:.1f} times the default here)" if self.gain else ""
        mkl = f"MKL type {self.mkl_cpu_type}" if self.mkl_cpu_type else "MKL's own choice"
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        where = "gpu, " if self.device == "gpu" else ""
        return f"{self.cpu}: {where}{mkl}{gain}, {threads}; {self.reason}"


@dataclasses.dataclass(frozen=True)
class Choice:
    """The best candidate: MKL type, threads, and gain over Paddle's defaults (None: nothing was compared)."""

    mkl: str | None
    threads: int
    gain: float | None


def prepare(device: str = "auto", threads: int | str = "auto") -> Hardware:
    """Decides MKL kernels, threads and device, and puts them into the environment; call it before `import paddle`.

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
    """What may be chosen from, and what is not up to us: MKL types, thread counts, reasons."""
    mkl_types: tuple[str | None, ...] = (None,) if on_gpu else MKL_TYPES
    counts = (1,) if on_gpu else thread_counts(usable_cores())
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


def thread_counts(cores: int) -> tuple[int, ...]:
    """Thread counts worth trying: 1, 4, 16, ... below `cores`, and `cores`."""
    return tuple(sorted({4**power for power in range(6) if 4**power < cores} | {cores}))


def _measured(mkl_types: Sequence[str | None], counts: Sequence[int]) -> tuple[Choice, str]:
    """The best of the candidates, and how that is known."""
    if len(mkl_types) == len(counts) == 1:
        return Choice(mkl_types[0], counts[0], None), "nothing left to measure"
    library = mkl_library()
    if library is None:
        # Paddle's other libraries (OpenBLAS) are not built for several threads, so one is what it sets by itself.
        return Choice(mkl_types[0], counts[0], None), "no MKL here, so Paddle's defaults"
    cache = ProbeCache(cpu_identity() + library_identity(library), lambda mkl, count: measure(library, mkl, count))
    choice, why = decide(mkl_types, counts, cache.measurement)
    return choice, "; ".join(filter(None, [why, cache.save()]))


def decide(mkl_types: Sequence[str | None], counts: Sequence[int], prober: Prober) -> tuple[Choice, str]:
    """Measures every candidate and Paddle's defaults with `prober`, and chooses."""
    stock = prober(None, 1)
    candidates = [prober(mkl, count) for count in counts for mkl in mkl_types]
    broken = sorted({f"type {m.mkl or 'unset'} {m.problem}" for m in candidates if m.problem})
    why = "matrix products measured" if len(broken) < len(candidates) else "no candidate could be measured"
    return choose(stock, candidates), f"{why} ({', '.join(broken)})" if broken else why


def choose(stock: Measurement, candidates: Sequence[Measurement]) -> Choice:
    """The fastest candidate, where MKL's own kernels and fewer threads win unless others are faster.

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
    """Geometric mean of the ratios of times: 2.0 when `other` is twice as fast as `stock`."""
    ratios = [math.log(slow / fast) for slow, fast in zip(stock.seconds, other.seconds, strict=True)]
    return math.exp(sum(ratios) / len(ratios))


def mkl_library() -> Path | None:
    """MKLML inside the installed Paddle wheel, found without importing it; None where there is none."""
    spec = importlib.util.find_spec("paddle")
    if spec is None or platform.machine() not in {"x86_64", "AMD64"}:
        return None
    folders = [Path(folder) / "libs" / "libmklml_intel.so" for folder in spec.submodule_search_locations or ()]
    return next((path for path in folders if path.is_file()), None)


def library_identity(library: Path) -> str:
    """What changes when the wheel does: its version, and the library's size and time."""
    stat = library.stat()
    return f"paddle {paddle_version()}, {stat.st_size} bytes, {stat.st_mtime_ns}"


def paddle_version() -> str:
    """Version of the installed Paddle distribution, without importing it."""
    for name in ("paddlepaddle", "paddlepaddle-gpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"


def choose_device(wanted: str) -> str:
    """`cpu` or `gpu`, without importing Paddle; `auto` is `gpu` where Paddle and the machine have one.

    Raises:
        RequestError: `wanted` is none of auto, cpu and gpu, or there is no GPU to use.
    """
    if wanted not in {"auto", "cpu", "gpu"}:
        raise RequestError(f"device: expected 'auto', 'cpu' or 'gpu', found {wanted!r}; set hardware.device")
    if wanted == "cpu":
        return "cpu"
    missing = missing_for_gpu()
    if missing and wanted == "gpu":
        raise RequestError(f"device: expected a GPU, found {missing}; use hardware.device=cpu or auto")
    return "cpu" if missing else "gpu"


def missing_for_gpu(devices: Path = Path("/dev")) -> str:
    """What keeps Paddle from a GPU here; empty when nothing does."""
    try:
        importlib.metadata.version("paddlepaddle-gpu")
    except importlib.metadata.PackageNotFoundError:
        return "that paddlepaddle-gpu is not installed"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in {"", "-1"}:
        return f"that CUDA_VISIBLE_DEVICES={visible!r} hides every GPU"
    if not any(devices.glob("nvidia[0-9]*")) and not (devices / "dxg").exists():
        return f"no NVIDIA device in {devices}"
    return ""


def _cpuinfo() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; empty where there is none."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            first = file.read(16384).split("\n\n")[0]
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}


def cpu_model() -> str:
    """Model name of the CPU."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def cpu_identity() -> str:
    """All that says which kernels this CPU can run, and how many cores it may use."""
    info = _cpuinfo()
    names = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags")
    return f"{[info.get(name) for name in names]}, {usable_cores()} cores, "


def usable_cores() -> int:
    """Physical cores that this process may use: by its affinity, and by the CPU quota of its control group."""
    cores = physical_cores(_affinity())
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def _affinity() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def physical_cores(processors: set[int], root: Path = Path("/sys/devices/system/cpu")) -> int:
    """How many physical cores these processors are; each counts as one where the machine does not say."""
    cores = set()
    for processor in processors:
        topology = root / f"cpu{processor}" / "topology"
        try:
            cores.add(tuple((topology / name).read_text() for name in ("physical_package_id", "core_id")))
        except OSError:
            cores.add((f"processor {processor}",))
    return max(1, len(cores))


def cpu_quota(membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """The smallest CPU quota, in cores, of this process's control group and those above it; None without one.

    Reads version 2 (`cpu.max`) and version 1 (`cpu.cfs_quota_us`) of Linux control groups.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount, parts = root / "cpu" if controllers else root, Path(group.lstrip("/")).parts
        # Inside a container the group's own path may be missing there, while the mount point is the group.
        quotas += [_quota(mount.joinpath(*parts[:depth])) for depth in range(len(parts) + 1)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota(group: Path) -> float | None:
    try:
        if (group / "cpu.max").exists():
            limit, period = (group / "cpu.max").read_text().split()
        else:
            limit, period = (group / "cpu.cfs_quota_us").read_text(), (group / "cpu.cfs_period_us").read_text()
        return None if limit == "max" or int(limit) <= 0 else int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def machine() -> str:
    """One line for reports: CPU model, cores this process may use, operating system."""
    cores = usable_cores()
    return f"{cpu_model()}, {cores} core{'s' if cores > 1 else ''}, {platform.system()} {platform.machine()}"


def peak_memory_mb() -> float:
    """The most memory this process has had resident so far, in MiB."""
    try:
        # ru_maxrss survives execve: a child of a large process would report its parent's peak.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def start(
    device: str, threads: int | str, report: Callable[[str], None], repeat: Mapping[str, Any] | None = None
) -> Hardware:
    """Prepares, says what was chosen, and imports Paddle: what a command does first.

    Args:
        device: as for `prepare`.
        threads: as for `prepare`.
        report: is given the line that says what was chosen.
        repeat: `dataclasses.asdict` of what an interrupted run used; its kernels and threads are used again on the same
            CPU, since others round differently.
    """
    if repeat is not None and repeat.get("cpu") == cpu_model():
        if isinstance(repeat.get("mkl_cpu_type"), str):
            os.environ.setdefault(MKL_VARIABLE, repeat["mkl_cpu_type"])
        if isinstance(repeat.get("threads"), int):
            os.environ.setdefault(THREADS_VARIABLE, str(repeat["threads"]))
    chosen = prepare(device, threads)
    report(chosen.describe())
    import_paddle()
    return chosen


def import_paddle() -> None:
    """Imports Paddle without the remarks that do not concern a user of this project; all others are passed on.

    Left out: that ccache is missing (only custom operators use it), that BatchNorm always tracks its statistics, and
    that more than one thread was chosen (seen in Paddle 2.6.2 and 3.3.1).
    """
    warnings.filterwarnings("ignore", message="No ccache found", category=UserWarning)
    warnings.filterwarnings("ignore", message="When training, we now always track global mean", category=UserWarning)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            importlib.import_module("paddle")
    finally:
        lines = [line for line in printed.getvalue().splitlines() if "OMP_NUM_THREADS" not in line]
        sys.stderr.write("".join(f"{line}\n" for line in lines))
