"""Asking a quantiser: a fresh process for each question, as each wants a setting of its own or may not come back."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ppresnet.errors import PpresnetError, RequestError
from ppresnet.processes import ending, indented, run_to_end

ROOT = Path(__file__).resolve().parents[3]


def ask(worker: str, request: Mapping[str, Any], timeout: float) -> None:
    """Run a worker of this package, such as `ptq_worker`, to its end.

    Args:
        worker: a module that takes `request` as JSON on its stdin.
        request: JSON data; paths are absolute, and beside `target` the worker keeps what is temporary.
        timeout: seconds after which the process is killed.

    Raises:
        RequestError: a package that it needs is not installed.
        PpresnetError: it failed, crashed or took too long; the message has its last output.
    """
    command = [sys.executable, "-m", f"{__package__}.{worker}"]
    # PaddleSlim 2.6 knows the old program form only, and the form is chosen before Paddle is imported.
    # A worker may be killed, and cannot tidy up then.
    environment = os.environ | {"FLAGS_enable_pir_api": "0", "TMPDIR": str(Path(request["target"]).parent)}
    ended = run_to_end(command, ROOT, environment, timeout, json.dumps(request).encode())
    said = indented(line[-500:] for line in ended.lines)
    if ended.code is None:
        raise PpresnetError(f"{worker} took longer than {timeout:g} s and was ended; its last output:\n{said}")
    if ended.code:
        if "No module named" in said:
            raise RequestError(f"a package that {worker} needs is missing; pip install 'ppresnet[slim]':\n{said}")
        raise PpresnetError(f"{worker} {ending(ended.code)}; its last output:\n{said}")
