"""Asking a quantiser: a fresh process for each question, as each wants a setting of its own or may not come back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ppresnet.errors import PpresnetError, RequestError

ROOT = Path(__file__).resolve().parents[3]
_LAST_LINES = 12


def ask(worker: str, request: Mapping[str, Any], timeout: float) -> None:
    """Run a worker of this package, such as `ptq_worker`, to its end.

    Args:
        worker: a module that takes `request` as JSON on its stdin.
        request: JSON data; paths are absolute.
        timeout: seconds after which the process is killed.

    Raises:
        RequestError: a package that it needs is not installed.
        PpresnetError: it failed, crashed or took too long; the message has its last output.
    """
    command = [sys.executable, "-m", f"{__package__}.{worker}"]
    # PaddleSlim 2.6 knows the old program form only, and the form is chosen before Paddle is imported.
    environment = os.environ | {"FLAGS_enable_pir_api": "0"}
    try:
        done = subprocess.run(  # noqa: S603
            command,
            cwd=ROOT,
            env=environment,
            input=json.dumps(request).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PpresnetError(
            f"{worker} took longer than {timeout:g} s and was ended; its last output:\n{_tail(error.stdout)}"
        ) from None
    if done.returncode:
        said = _tail(done.stdout)
        if "No module named" in said:
            raise RequestError(f"a package that {worker} needs is missing; pip install 'ppresnet[slim]':\n{said}")
        raise PpresnetError(f"{worker} {_ending(done.returncode)}; its last output:\n{said}")


def _ending(code: int) -> str:
    return f"ended with exit code {code}" if code > 0 else f"was ended by {signal.Signals(-code).name}"


def _tail(output: bytes | None) -> str:
    lines = (output or b"").decode(errors="replace").splitlines()
    return "\n".join(f"  {line[-500:]}" for line in lines[-_LAST_LINES:]) or "  (none)"
