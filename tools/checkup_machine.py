"""What `tools/doctor.py` finds about the machine and its installation."""

import importlib.metadata
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from checkup import Check
from runtimes import installed

from deploy.lite.interpreter import find_interpreter
from ppresnet import hardware

PYTHONS = ((3, 10), (3, 12))  # oldest and newest
TESTED_PADDLES = ("2.6.2", "3.3.1")
LEAST_MEMORY_MB = 2048
PACKAGES = {
    "paddleslim": "int8 and --engine paddleslim",
    "paddle2onnx": "ONNX files in bundles",
    "onnxruntime": "ONNX files in bundles, which are held to it",
    "visualdl": "log.visualdl",
}


def machine_checks() -> Iterator[Check]:
    """Yield one finding after the other; imports Paddle on the way."""
    yield python(sys.version_info[:2])
    found = paddle(_version_of_paddle())
    yield found
    if found.status == "failed":
        return
    yield device(hardware.missing_for_gpu())
    yield _cpu()
    yield _training_kernels()
    yield memory(_available_mb())
    yield packages({name: installed(name) for name in PACKAGES})
    yield lite(find_interpreter())


def python(version: tuple[int, ...]) -> Check:
    """Judge the interpreter by its major and minor version."""
    found = ".".join(map(str, version))
    if PYTHONS[0] <= version <= PYTHONS[1]:
        return Check("Python", "ok", found)
    return Check("Python", "failed", found, "use Python 3.10, 3.11 or 3.12; tools/setup.sh looks for one")


def paddle(version: str | None) -> Check:
    """Judge Paddle by its version, None where there is none."""
    if version is None:
        return Check("Paddle", "failed", "not installed", "run `bash tools/setup.sh`, or `pip install paddlepaddle`")
    if version in TESTED_PADDLES:
        return Check("Paddle", "ok", version)
    return Check("Paddle", "warning", version, f"tested with {' and '.join(TESTED_PADDLES)}")


def device(missing: str) -> Check:
    """Tell what trainings run on; `missing` is what keeps Paddle from a GPU, empty where nothing does."""
    return Check("device", "ok", f"CPU, since what was found is {missing}" if missing else "GPU")


def memory(available_mb: float | None) -> Check:
    """Judge the memory that is free, in MiB; None where the system does not tell."""
    if available_mb is None:
        return Check("memory", "warning", "unknown", "this system does not tell; watch peak_memory_mb in result.json")
    found = f"{available_mb:,.0f} MiB free"
    if available_mb >= LEAST_MEMORY_MB:
        return Check("memory", "ok", found)
    advice = "use a smaller train.batch_size, train.accumulate or recompute.every"
    return Check("memory", "warning", found, advice)


def packages(present: Mapping[str, bool]) -> Check:
    """Tell what cannot be done for want of a package."""
    missing = [name for name, there in present.items() if not there]
    if not missing:
        return Check("packages", "ok", ", ".join(present))
    without = "; ".join(f"without {name}: no {PACKAGES[name]}" for name in missing)
    return Check("packages", "warning", f"no {', '.join(missing)}", f"{without}; `bash tools/setup.sh` installs them")


def lite(interpreter: Path | None) -> Check:
    """Tell whether bundles can be converted for boards."""
    if interpreter is not None:
        return Check("Paddle Lite", "ok", str(interpreter))
    return Check("Paddle Lite", "warning", "not set up", "deploy/lite needs it; run `bash tools/setup.sh --lite`")


def _version_of_paddle() -> str | None:
    for name in ("paddlepaddle", "paddlepaddle-gpu"):
        with suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return None


def _cpu() -> Check:
    chosen = hardware.start("cpu", "auto", _silent)
    return Check("CPU", "ok", chosen.describe())


def _training_kernels() -> Check:
    from ppresnet import onednn

    try:
        said = onednn.enable("auto").removeprefix("training kernels: ")
        if onednn.active() is not None:
            return Check("training kernels", "ok", said)
    finally:
        onednn.disable()
    return Check("training kernels", "warning", said, "trainings on this CPU are several times slower")


def _available_mb() -> float | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) / 1024
    return None


def _silent(_: str) -> None:
    return None
