"""Which CPU this is."""

import platform
from pathlib import Path

from ppresnet.hardware.cores import usable_cores


def cpu_model() -> str:
    """Return the model name of the CPU."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def cpu_identity() -> str:
    """Return all that says which kernels this CPU can run, and how many cores it may use."""
    info = _cpuinfo()
    names = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags")
    return f"{[info.get(name) for name in names]}, {usable_cores()} cores, "


def machine() -> str:
    """Return one line for reports: CPU model, cores this process may use, operating system."""
    cores = usable_cores()
    return f"{cpu_model()}, {cores} core{'s' if cores > 1 else ''}, {platform.system()} {platform.machine()}"


def _cpuinfo() -> dict[str, str]:
    """Return the first processor of /proc/cpuinfo; empty where there is none."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            first = file.read(16384).split("\n\n")[0]
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
