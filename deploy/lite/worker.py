"""One request to Paddle Lite, in the interpreter that has it: CPython 3.7, which knows nothing of this project.

The request is one line of JSON on stdin, the reply one line on stdout. Whatever Lite prints goes to stderr. Lite aborts
the process where others raise, so each request gets a process of its own, and `deploy/lite/process.py` reads its end.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

PR_SET_PDEATHSIG = 1


def version(request: dict[str, Any]) -> dict[str, Any]:
    """Return the versions of Lite and of this interpreter."""
    from paddlelite import lite

    return {"lite": lite.Opt().version(), "python": ".".join(str(part) for part in sys.version_info[:3])}


def convert(request: dict[str, Any]) -> dict[str, Any]:
    """Write an optimised model; Lite adds `.nb` to the name of a naive buffer itself."""
    from paddlelite import lite

    opt = lite.Opt()
    opt.set_model_file(request["program"])
    opt.set_param_file(request["params"])
    opt.set_model_type(request["form"])
    opt.set_optimize_out(request["output"])
    if request.get("weights"):
        opt.set_quant_model(True)
        opt.set_quant_type(request["weights"])
    if request.get("sparse") is not None:
        opt.set_sparse_model(True)
        opt.set_sparse_threshold(request["sparse"])
    if request.get("record"):
        opt.record_model_info(True)
    if request.get("fp16"):
        opt.enable_fp16()
    # After enable_fp16: the places are completed when they are set.
    opt.set_valid_places(request["target"])
    opt.run()
    return {}


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run an .nb on the arrays of one .npy file, write the outputs as another, and say how long each run took."""
    import numpy as np
    from paddlelite import lite

    config = lite.MobileConfig()
    config.set_model_from_file(request["nb"])
    predictor = lite.create_paddle_predictor(config)
    images = np.load(request["inputs"], allow_pickle=False)
    outputs, seconds = [], []
    for start in range(0, len(images), request["batch"]):
        predictor.get_input(0).from_numpy(np.ascontiguousarray(images[start : start + request["batch"]]))
        began = time.perf_counter()
        predictor.run()
        seconds.append(time.perf_counter() - began)
        outputs.append(predictor.get_output(0).numpy().copy())
    np.save(request["outputs"], np.concatenate(outputs), allow_pickle=False)
    return {"milliseconds": [1000 * each for each in seconds], "version": lite.Opt().version()}


DOES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"version": version, "convert": convert, "run": run}


def main() -> None:
    """Answer one request."""
    # Whoever started this may be killed; nobody would end it then.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    reply = os.dup(1)
    os.dup2(2, 1)
    request = json.loads(sys.stdin.readline())
    if request.get("memory_mb"):
        most = request["memory_mb"] << 20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        answer: dict[str, Any] = {"ok": DOES[request["do"]](request)}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    os.write(reply, (json.dumps(answer) + "\n").encode())


if __name__ == "__main__":
    main()
