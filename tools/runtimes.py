"""The runtimes that a bundle is held to, each as a function from preprocessed images to logits."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppresnet.bundle import ONNX, PARAMS, PDMODEL
from ppresnet.errors import RequestError

Runner = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def open_paddle(directory: Path, backend: str, precision: str, format: str, threads: int | None = None) -> Runner:
    """Return a program under Paddle Inference.

    Args:
        directory: a bundle, finished or staged.
        backend: `native`, `onednn` or `openvino`.
        precision: `fp32`, `bf16`, or `int8` for a quantised program.
        format: `json` or `pdmodel`.
        threads: of the kernels; None leaves what the process has.

    Raises:
        RequestError: the combination would do nothing or be wrong.
    """
    from deploy.inference import Runtime, Session

    return Session(directory, Runtime(backend, precision, format, threads))  # type: ignore[arg-type]


def open_onnxruntime(directory: Path, threads: int | None = None) -> Runner:
    """Return `model.onnx` under ONNX Runtime on the CPU.

    Raises:
        RequestError: onnxruntime is not installed, or the bundle has no `model.onnx`.
    """
    _expect("onnxruntime", directory / ONNX)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(str(directory / ONNX), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images_NCHW: session.run(None, {name: images_NCHW})[0]


def open_openvino(directory: Path, precision: str, batch: int | None = None, threads: int | None = None) -> Runner:
    """Return `model.onnx`, or `.pdmodel` where there is none, under OpenVINO on the CPU.

    Args:
        directory: a bundle.
        precision: `fp32` or `bf16`; always set, because OpenVINO chooses bf16 by itself where the CPU has it.
        batch: compile for this batch alone, which is how OpenVINO is fastest; None leaves it free.
        threads: of the kernels.

    Raises:
        RequestError: openvino is not installed, or the bundle has nothing that it reads.
    """
    program = directory / (ONNX if (directory / ONNX).is_file() else PDMODEL)
    _expect("openvino", program)
    # openvino reports each import to its vendor through this package, where it is installed.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    core = openvino.Core()
    wanted = {"fp32": "f32", "bf16": "bf16"}[precision]
    if wanted == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise RequestError("this CPU has no bf16 for OpenVINO, which would compute in fp32")
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": wanted, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    model = core.read_model(program, directory / PARAMS) if program.name == PDMODEL else core.read_model(program)
    if batch is not None:
        model.reshape([batch, *model.inputs[0].partial_shape[1:]])
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    return lambda images_NCHW: request.infer({0: images_NCHW}, share_inputs=True)[0]


def installed(package: str) -> bool:
    """Return whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def _expect(package: str, program: Path) -> None:
    if not installed(package):
        raise RequestError(f"{package} is not installed")
    if not program.is_file():
        raise RequestError(f"the bundle has no {program.name}")
