"""The second interpreter: Paddle Lite's wheels end at CPython 3.7, so it has an environment of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from deploy.lite.process import ask
from ppresnet.errors import RequestError

ROOT = Path(__file__).resolve().parents[2]
LITE_VERSION = "v2.12"
_VERSION_SECONDS, _SETUP_SECONDS = 120, 1800


def find_interpreter(root: Path = ROOT) -> Path | None:
    """Return the Python of a finished `.venv-lite`, or None."""
    python = root / ".venv-lite" / "bin" / "python"
    return python if python.is_file() and (python.parents[1] / ".setup.stamp").is_file() else None


def prepare(say: Callable[[str], None], root: Path = ROOT) -> Path:
    """Return the Python that has Paddle Lite, after setting it up when it is missing, and after asking its version.

    Raises:
        RequestError: there is no CPython 3.7, or it could not be set up; the message says how to get one.
        WorkerError: Lite does not start in it.
    """
    python = find_interpreter(root) or _set_up(say, root)
    found = ask(python, {"do": "version"}, _VERSION_SECONDS)["lite"]
    if found != LITE_VERSION:
        raise RequestError(
            f"{python} has Paddle Lite {found}; expected {LITE_VERSION}, for which the audit was written; "
            "remove .venv-lite and run `bash tools/setup.sh --lite-only`"
        )
    return python


def _set_up(say: Callable[[str], None], root: Path) -> Path:
    script = root / "tools" / "setup.sh"
    if not script.is_file():
        raise RequestError(
            f"Paddle Lite needs its own CPython 3.7, which tools/setup.sh of a checkout makes; found none at {root}"
        )
    say("setting up the second interpreter: bash tools/setup.sh --lite-only")
    command = ["bash", str(script), "--lite-only"]
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=root, check=False, capture_output=True, text=True, timeout=_SETUP_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise RequestError(f"`{' '.join(command)}` took longer than {_SETUP_SECONDS} s; run it by hand") from error
    python = find_interpreter(root)
    if done.returncode == 0 and python is not None:
        return python
    last = "\n".join(f"  | {line}" for line in done.stderr.splitlines()[-8:])
    raise RequestError(
        "Paddle Lite's Python package ends at CPython 3.7 on Linux x86-64, and no environment with it could be made. "
        "Get one with `pyenv install 3.7.16` or `uv python install 3.7`, or point PPRESNET_LITE_PYTHON at one, "
        f"then run `bash tools/setup.sh --lite`. Everything but deploy/lite works without it. It said:\n{last}"
    )
