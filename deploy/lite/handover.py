"""The folder that a person copies to a board: network, golden tensors, labels, description and the C++ sample."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from deploy.lite.report import LITE_JSON, README, LiteReport
from ppresnet.bundle import GOLDEN, LABELS, Bundle, FileEntry
from ppresnet.errors import BundleError

SAMPLE = Path(__file__).with_name("cpp")
SHARED = Path(__file__).resolve().parents[1] / "inference" / "cpp"
# Of the Paddle Inference sample; a board's program is these and the files in SAMPLE.
SHARED_PARTS: tuple[str, ...] = (
    "classify",
    "command_line",
    "errors",
    "exif",
    "files",
    "golden",
    "image",
    "image_jpeg",
    "image_png",
    "image_ppm",
    "json",
    "manifest",
    "numbers",
    "pixels",
    "ranking",
    "sample",
    "schema",
    "self_test",
    "sha256",
)


def sample_sources() -> Iterator[Path]:
    """Yield every file of the C++ sample, those it shares with deploy/inference included."""
    yield from sorted(path for path in SAMPLE.iterdir() if path.is_file())
    for part in SHARED_PARTS:
        yield from (path for ending in ("hpp", "cpp", "cmake") if (path := SHARED / f"{part}.{ending}").is_file())


def fill(folder: Path, bundle: Bundle) -> None:
    """Copy golden tensors, labels and the C++ sample into a staged folder.

    Raises:
        BundleError: a file changed since the bundle was verified.
    """
    for name in (GOLDEN, LABELS):
        data = bundle.file(name).read_bytes()
        if hashlib.sha256(data).hexdigest() != bundle.deploy.files[name].sha256:
            raise BundleError(f"{bundle.path / name} changed while it was copied; use another copy")
        (folder / name).write_bytes(data)
    (folder / "cpp").mkdir()
    for source in sample_sources():
        shutil.copyfile(source, folder / "cpp" / source.name)


def describe(folder: Path, report: LiteReport) -> None:
    """Write the README and `lite.json`, which lists every other file."""
    (folder / README).write_text(_readme(report), encoding="utf-8")
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            files[path.relative_to(folder).as_posix()] = FileEntry(size=len(data), sha256=digest)
    report = report.model_copy(update={"files": files})
    (folder / LITE_JSON).write_text(report.dump(), encoding="utf-8")


def _readme(report: LiteReport) -> str:
    what = f"{report.target}, {report.precision}"
    lines = (
        f"# {report.name} for Paddle Lite {report.lite_version} ({what}): {report.executed}",
        f"1. Unpack the release archive of Paddle Lite {report.lite_version} for the board: the .nb needs this version"
        + (", built with OpenCL." if "opencl" in report.target else "."),
        "2. `cmake -S cpp -B build -DLITE_DIR=...` (the folder with `cxx/`), then `cmake --build build`; on a PC add "
        "`-DARCH=armv8` or `-DARCH=armv7hf`.",
        "3. `build/board .` verifies this folder and must reproduce golden.npz; `build/board . photo.ppm` classifies, "
        "`--latency 50` measures.",
        "4. lite.json says what was converted, audited and proved; `tailoring/` is for a smaller build of Lite.",
    )
    return "\n".join(lines) + "\n"
