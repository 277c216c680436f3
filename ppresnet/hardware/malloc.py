"""Memory that freed tensors leave is kept for the next ones, instead of going back to the system page by page.

A training step on the CPU frees and asks again for the same hundreds of megabytes, and by default glibc gives large
blocks back at once: thousands of page faults a step (measured with Paddle 3.3.1 and glibc 2.36). See mallopt(3) and
"Memory Allocation Tunables" in the manual of glibc.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from typing import NoReturn

TUNABLES = "GLIBC_TUNABLES"
HUGE_PAGES = "glibc.malloc.hugetlb=1"  # madvise(2) for transparent huge pages; known since glibc 2.35
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # parameters of mallopt, malloc.h
_LARGEST_BLOCK_FROM_HEAP, _NEVER_TRIM = 1 << 30, -1


def settle(
    setting: str, execute: Callable[[str, list[str]], NoReturn] = os.execv, mallopt: Callable[..., int] | None = None
) -> str | None:
    """Apply `hardware.malloc`, and return a line that says what was done; None for `default`.

    Huge pages must be asked for before a process starts, so the first call starts the same command again in this
    process, and does not return; call it before any work is done.

    Args:
        setting: `default` or `tuned`.
        execute: starts the command again.
        mallopt: that of the C library.
    """
    if setting == "default":
        return None
    version = glibc_version()
    if version is None:
        return "malloc: tuned needs glibc, which this system does not use; nothing was changed"
    tunables = os.environ.get(TUNABLES, "")
    if HUGE_PAGES.split("=")[0] not in tunables:
        os.environ[TUNABLES] = f"{tunables}:{HUGE_PAGES}" if tunables else HUGE_PAGES
        execute(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    call = ctypes.CDLL(None).mallopt if mallopt is None else mallopt
    if not (call(_MMAP_THRESHOLD, _LARGEST_BLOCK_FROM_HEAP) and call(_TRIM_THRESHOLD, _NEVER_TRIM)):
        return f"malloc: {version} refused the settings of tuned; freed memory goes back to the system"
    return f"malloc: {version} keeps freed memory, in huge pages where the system has them"


def glibc_version() -> str | None:
    """Return `glibc 2.36`, or None where the C library is another."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, ValueError, OSError):
        return None
