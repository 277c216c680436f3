"""How much memory this process has."""

import resource
from pathlib import Path


def resident_mb() -> float:
    """Memory that this process has now, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
