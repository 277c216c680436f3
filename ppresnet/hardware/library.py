"""MKL inside the installed Paddle wheel, found without importing Paddle."""

import importlib.metadata
import importlib.util
import platform
from pathlib import Path


def mkl_library() -> Path | None:
    """Return the path of the MKLML of the installed Paddle, found without importing it; None where there is none."""
    spec = importlib.util.find_spec("paddle")
    if spec is None or platform.machine() not in {"x86_64", "AMD64"}:
        return None
    folders = [Path(folder) / "libs" / "libmklml_intel.so" for folder in spec.submodule_search_locations or ()]
    return next((path for path in folders if path.is_file()), None)


def library_identity(library: Path) -> str:
    """Return what changes when the wheel does: its version, and the library's size and time."""
    stat = library.stat()
    return f"paddle {paddle_version()}, {stat.st_size} bytes, {stat.st_mtime_ns}"


def paddle_version() -> str:
    """Return the version of the installed Paddle distribution, without importing it."""
    for name in ("paddlepaddle", "paddlepaddle-gpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"
