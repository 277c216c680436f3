"""One builder of Paddle Inference configs; every quirk of that API lives here.

Seen in Paddle 2.6.2 and 3.3.1. A config is never reused: turning oneDNN off and on again leaves it half on.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

from paddle import inference

from deploy.inference.quantised import expect_precision
from deploy.inference.runtime import Format, Runtime, refuse, resolve_format
from ppresnet import paddle_api
from ppresnet.bundle import JSON, PARAMS, PDMODEL
from ppresnet.errors import RequestError

# The new passes do not run by themselves on the native CPU: without these a `.json` keeps every BatchNorm.
NATIVE_PASSES = ("conv2d_bn_fuse_pass", "matmul_add_act_fuse_pass")
# oneDNN's int8 kernels for fc and pool2d lose more than all convolutions do: with them the outputs of a ResNet-20
# differ by 7 %, without by 2 %. Asked for everything, it takes fc even where the program keeps it in float.
INT8_OPERATORS = ("conv2d", "depthwise_conv2d", "fused_conv2d")
CRASHING = ("conv_activation_onednn_fuse_pass",)
GPU_POOL_MB = 256
TENSORRT_WORKSPACE = 1 << 30


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
    expect_precision(directory / (JSON if format == "json" else PDMODEL), runtime)
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
        paddle_api.enable_onednn_int8(config, INT8_OPERATORS)
    if runtime.backend == "openvino":
        _openvino(config, runtime)
    if runtime.backend == "native" and format == "json":
        config.enable_custom_passes(list(NATIVE_PASSES))


def _openvino(config: Any, runtime: Runtime) -> None:
    # The x86 wheel of 3.3.1 brings OpenVINO along, that of 2.6.2 does not know it.
    if not hasattr(config, "enable_openvino_engine"):
        raise RequestError("this Paddle was built without OpenVINO; use onednn, or OpenVINO itself on model.onnx")
    config.set_optim_cache_dir(_cache())  # by itself it writes `__cache__` into the current folder
    precision = inference.PrecisionType
    config.enable_openvino_engine(precision.Bfloat16 if runtime.precision == "bf16" else precision.Float32)


@functools.cache
def _cache() -> str:
    folder = tempfile.mkdtemp(prefix="ppresnet-openvino-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _avoid_crashes(config: Any, directory: Path, format: Format) -> None:
    program = (directory / (JSON if format == "json" else PDMODEL)).read_bytes()
    if (b'.pad"' if format == "json" else b"\x1a\x03pad") in program:
        raise RequestError(
            f"{directory}: oneDNN's kernel for the operator 'pad' corrupts memory (Paddle 2.6.2 and 3.3.1); "
            "use native, or pad channels with pad3d and export again"
        )
    # The pass reads the slope, a double, as a float, and crashes (3.3.1); the two passes of a .pdmodel are sound.
    if format == "json" and b".leaky_relu" in program:
        for name in CRASHING:
            config.delete_pass(name)


def _gpu(config: Any, runtime: Runtime) -> None:
    """Built to Paddle Inference's documentation (Python API, Config class); not run here."""
    half = runtime.precision == "fp16"
    precision = inference.PrecisionType.Half if half else inference.PrecisionType.Float32
    # TensorRT converts by itself; its fallback ops stay in fp32.
    config.enable_use_gpu(
        GPU_POOL_MB, 0, inference.PrecisionType.Float32 if runtime.backend == "tensorrt" else precision
    )
    if runtime.backend == "tensorrt":
        config.enable_tensorrt_engine(
            workspace_size=TENSORRT_WORKSPACE,
            max_batch_size=runtime.max_batch,
            min_subgraph_size=3,
            precision_mode=precision,
            use_static=False,
            use_calib_mode=False,
        )
