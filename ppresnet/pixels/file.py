"""Which files are images, and reading one, whatever stands under its name."""

import os
import stat
from pathlib import Path, PurePosixPath

from ppresnet.pixels.decode import BrokenImage

MAX_FILE_BYTES = 256 * 2**20
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def is_image(name: str) -> bool:
    """Tells by the suffix whether a file is taken for an image; hidden files never are."""
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def read_image(path: str | Path) -> bytes:
    """Reads a regular file of at most 256 MiB; devices and FIFOs, which may never end or never answer, are refused.

    Raises:
        BrokenImage: it is larger, or no regular file.
        OSError: it is missing or cannot be read.
    """
    # Without O_NONBLOCK the opening of a FIFO waits for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BrokenImage("a folder, a device or a FIFO; expected a regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise BrokenImage(f"{status.st_size} bytes; at most {MAX_FILE_BYTES} are read")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(status.st_size + 1)
    finally:
        os.close(descriptor)
