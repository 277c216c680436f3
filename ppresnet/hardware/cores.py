"""How many cores this process may use."""

import os
from pathlib import Path


def usable_cores() -> int:
    """Return the physical cores this process may use: by its affinity, and by the CPU quota of its control group."""
    cores = physical_cores(_affinity())
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def _affinity() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def physical_cores(processors: set[int], root: Path = Path("/sys/devices/system/cpu")) -> int:
    """Return how many physical cores these processors are; each counts as one where the machine does not say."""
    cores = set()
    for processor in processors:
        topology = root / f"cpu{processor}" / "topology"
        try:
            cores.add(tuple((topology / name).read_text() for name in ("physical_package_id", "core_id")))
        except OSError:
            cores.add((f"processor {processor}",))
    return max(1, len(cores))


def cpu_quota(membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return the smallest CPU quota, in cores, of this process's control group and those above it; None without one.

    Read are version 2 (`cpu.max`) and version 1 (`cpu.cfs_quota_us`) of Linux control groups.
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
