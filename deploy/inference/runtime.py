"""How a program is to run, and the combinations that are refused because they would do nothing or be wrong.

Each reason was seen in Paddle 3.3.1 unless it says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import paddle

from ppresnet import paddle_api
from ppresnet.bundle import JSON, PARAMS, PDMODEL
from ppresnet.errors import RequestError

Backend = Literal["native", "onednn", "openvino", "gpu", "tensorrt"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
Format = Literal["json", "pdmodel"]

PRECISIONS = {
    "native": ("fp32",),
    "onednn": ("fp32", "bf16", "int8"),
    "openvino": ("fp32", "bf16"),
    "gpu": ("fp32", "fp16"),
    "tensorrt": ("fp32", "fp16"),
}
NOT_RUN = ("gpu", "tensorrt")


@dataclass(frozen=True)
class Runtime:
    """How a program is to run.

    Attributes:
        backend: whose kernels; `gpu` and `tensorrt` follow Paddle's documentation and were never run here.
        precision: of the computation.
        format: of the program; `auto` takes `.json` where it can be read.
        threads: of the CPU kernels; None leaves what the process has.
        max_batch: for which TensorRT builds its engine.
        from_memory: hand the program over as bytes.
        simulated: run a quantised program in float arithmetic that rounds as it says; `native` `fp32` only.
    """

    backend: Backend = "onednn"
    precision: Precision = "fp32"
    format: Literal["auto", "json", "pdmodel"] = "auto"
    threads: int | None = None
    max_batch: int = 32
    from_memory: bool = False
    simulated: bool = False

    @property
    def proved(self) -> bool:
        """Whether this backend was run by the tests, and not only built to the documentation."""
        return self.backend not in NOT_RUN


def auto_backend() -> Backend:
    """Return the best backend of this machine: the GPU where Paddle has one, oneDNN, or Paddle's own CPU kernels."""
    if paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count():
        return "gpu"
    return "onednn" if paddle_api.has_onednn() else "native"


def resolve_format(directory: Path, runtime: Runtime) -> Format:
    """Return the format to read: what was asked for, or for `auto` the newest that the runtime and the folder have.

    Raises:
        RequestError: the folder has no such program.
    """
    quantised = runtime.precision == "int8" or runtime.simulated
    old_only = quantised or runtime.from_memory or runtime.backend in ("openvino", "tensorrt")
    if runtime.format == "auto":
        new = paddle_api.has_json() and not old_only and (directory / JSON).is_file()
        format: Format = "json" if new else "pdmodel"
    else:
        format = runtime.format
    for name in (JSON if format == "json" else PDMODEL, PARAMS):
        if not (directory / name).is_file():
            raise RequestError(f"{directory} has no {name}; export the checkpoint again, or choose the other format")
    return format


def refuse(runtime: Runtime, format: Format) -> None:
    """Raise for a combination that would do nothing or be wrong.

    Raises:
        RequestError: with the reason and what to ask for instead.
    """
    asked = f"{runtime.backend} {runtime.precision} on .{format}"
    if reason := _reason(runtime, format):
        raise RequestError(f"{asked}: {reason}")


def _reason(runtime: Runtime, format: Format) -> str:
    backend, precision = runtime.backend, runtime.precision
    if backend not in PRECISIONS:
        return f"unknown backend '{backend}'; expected one of {', '.join(PRECISIONS)}"
    if format == "json":
        if not paddle_api.has_json():
            return f"Paddle {paddle.__version__} crashes on a .json program; use pdmodel, or Paddle 3.x"
        if precision == "int8":
            return "Paddle's int8 passes read .pdmodel only, and a .json would run in fp32 silently; use pdmodel"
        if backend == "openvino":
            return "Paddle's OpenVINO engine reads .pdmodel only; use pdmodel, or OpenVINO itself on model.onnx"
        if backend == "tensorrt":
            return "a .json needs paddle.tensorrt.convert first; use pdmodel"
        if runtime.from_memory:
            return "a .json handed over as bytes crashes Paddle 3.3; read it from its file, or use pdmodel"
    if runtime.simulated and (backend, precision) != ("native", "fp32"):
        return "int8 is simulated by native kernels in fp32 only; use native, or run int8 itself on onednn"
    if precision not in PRECISIONS[backend]:
        return f"{backend} computes in {' or '.join(PRECISIONS[backend])}; '{precision}' would change nothing or fail"
    if backend in ("gpu", "tensorrt") and not paddle.is_compiled_with_cuda():
        return "this Paddle is a CPU build; install paddlepaddle-gpu, or use onednn"
    if backend == "onednn" and not paddle_api.has_onednn():
        return "this Paddle was built without oneDNN; use native"
    if runtime.threads is not None and runtime.threads < 1:
        return f"threads must be at least 1, found {runtime.threads}"
    return ""
