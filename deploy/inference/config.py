"""One builder of Paddle Inference configs, and the combinations it refuses; every quirk of the API lives here.

Seen in Paddle 2.6.2 and 3.3.1. A config is never reused: turning oneDNN off and on again leaves it half on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import paddle
from paddle import inference

from ppresnet import paddle_api
from ppresnet.bundle import JSON, PARAMS, PDMODEL
from ppresnet.errors import RequestError

Backend = Literal["native", "onednn", "openvino", "gpu", "tensorrt"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
Format = Literal["json", "pdmodel"]

PRECISIONS = {
    "native": ("fp32",),
    "onednn": ("fp32", "bf16", "int8"),
    "openvino": ("fp32",),
    "gpu": ("fp32", "fp16"),
    "tensorrt": ("fp32", "fp16"),
}
# The new passes do not run by themselves on the native CPU: without these a `.json` keeps every BatchNorm.
NATIVE_PASSES = ("conv2d_bn_fuse_pass", "matmul_add_act_fuse_pass")
JSON_ACTIVATION_PASS = "conv_activation_onednn_fuse_pass"
NOT_RUN = ("gpu", "tensorrt", "openvino")
GPU_POOL_MB = 256
TENSORRT_WORKSPACE = 1 << 30


@dataclass(frozen=True)
class Runtime:
    """How a program is to run.

    Attributes:
        backend: whose kernels; `gpu`, `tensorrt` and `openvino` are built to Paddle's documentation and were never run here.
        precision: of the computation.
        format: of the program; `auto` takes `.json` where it can be read.
        threads: of the CPU kernels; None leaves what the process has.
        max_batch: for which TensorRT builds its engine.
        from_memory: hand the program over as bytes.
    """

    backend: Backend = "onednn"
    precision: Precision = "fp32"
    format: Literal["auto", "json", "pdmodel"] = "auto"
    threads: int | None = None
    max_batch: int = 32
    from_memory: bool = False

    @property
    def proved(self) -> bool:
        """Whether this backend was run by the tests, and not only built to the documentation."""
        return self.backend not in NOT_RUN


def build_config(directory: Path, runtime: Runtime, *, memory_optim: bool = True) -> Any:
    """Return a fresh `paddle.inference.Config` for the program in a folder.

    Args:
        directory: holds `inference.json` or `inference.pdmodel`, and `inference.pdiparams`.
        runtime: how to run it.
        memory_optim: reuse the memory of intermediates; must be off for a hook to see them.

    Raises:
        RequestError: the combination would do nothing or be wrong; the message says why and what to ask for instead.
    """
    format = resolve_format(directory, runtime)
    refuse(runtime, format)
    config = _model(directory, format, runtime.from_memory)
    config.disable_glog_info()
    if format == "json":
        config.enable_new_ir(True)
        config.enable_new_executor(True)
    elif memory_optim:
        config.enable_memory_optim()  # raises for a .json
    if runtime.threads is not None:
        config.set_cpu_math_library_num_threads(runtime.threads)
    _backend(config, runtime, format)
    if runtime.backend == "onednn":
        _avoid_crashes(config, directory, format)
    return config


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
    old_only = runtime.precision == "int8" or runtime.from_memory or runtime.backend in ("openvino", "tensorrt")
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
    if precision not in PRECISIONS[backend]:
        return f"{backend} computes in {' or '.join(PRECISIONS[backend])}; '{precision}' would change nothing or fail"
    if backend in ("gpu", "tensorrt") and not paddle.is_compiled_with_cuda():
        return "this Paddle is a CPU build; install paddlepaddle-gpu, or use onednn"
    if backend == "onednn" and not paddle_api.has_onednn():
        return "this Paddle was built without oneDNN; use native"
    if runtime.threads is not None and runtime.threads < 1:
        return f"threads must be at least 1, found {runtime.threads}"
    return ""


def _model(directory: Path, format: Format, from_memory: bool) -> Any:
    program, params = directory / (JSON if format == "json" else PDMODEL), directory / PARAMS
    if not from_memory:
        return inference.Config(str(program), str(params))
    config, data, weights = inference.Config(), program.read_bytes(), params.read_bytes()
    config.set_model_buffer(data, len(data), weights, len(weights))
    return config


def _backend(config: Any, runtime: Runtime, format: Format) -> None:
    if runtime.backend in ("gpu", "tensorrt"):
        _gpu(config, runtime)
        return
    config.disable_gpu()
    paddle_api.set_onednn(config, enabled=runtime.backend == "onednn", bfloat16=runtime.precision == "bf16")
    if runtime.precision == "int8":
        paddle_api.enable_onednn_int8(config)
    if runtime.backend == "openvino":
        config.enable_openvino_engine(inference.PrecisionType.Float32)
    if runtime.backend == "native" and format == "json":
        config.enable_custom_passes(list(NATIVE_PASSES))


def _avoid_crashes(config: Any, directory: Path, format: Format) -> None:
    program = (directory / (JSON if format == "json" else PDMODEL)).read_bytes()
    if (b'.pad"' if format == "json" else b"\x1a\x03pad") in program:
        raise RequestError(
            f"{directory}: oneDNN's kernel for the operator 'pad' corrupts memory (Paddle 2.6.2 and 3.3.1); "
            "use native, or pad channels with pad3d and export again"
        )
    # The pass reads the slope, a double, as a float, and crashes (3.3.1); the two passes of a .pdmodel are sound.
    if format == "json" and b".leaky_relu" in program:
        config.delete_pass(JSON_ACTIVATION_PASS)


def _gpu(config: Any, runtime: Runtime) -> None:
    """Built to Paddle Inference's documentation (Python API, Config class); not run here."""
    half = runtime.precision == "fp16"
    precision = inference.PrecisionType.Half if half else inference.PrecisionType.Float32
    # TensorRT converts by itself; its fallback ops stay in fp32.
    config.enable_use_gpu(GPU_POOL_MB, 0, inference.PrecisionType.Float32 if runtime.backend == "tensorrt" else precision)
    if runtime.backend == "tensorrt":
        config.enable_tensorrt_engine(
            workspace_size=TENSORRT_WORKSPACE,
            max_batch_size=runtime.max_batch,
            min_subgraph_size=3,
            precision_mode=precision,
            use_static=False,
            use_calib_mode=False,
        )
