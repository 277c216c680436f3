"""How much memory this process has taken."""

import resource
import sys
from contextlib import suppress
from pathlib import Path


def peak_memory_mb() -> float:
    """Return the most memory this process has had resident so far, in MiB."""
    # Only Linux has /proc, and a sandbox may hide it. ru_maxrss, the second choice, survives execve: a child of a large
    # process would report its parent's peak.
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)
