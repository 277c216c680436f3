"""The process in which ONNX Runtime quantises a float ONNX: `python -m deploy.slim.int8.onnx_worker < REQUEST`."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Images(CalibrationDataReader):
    """The calibration images, batch by batch."""

    def __init__(self, name: str, images_NCHW: np.ndarray, batch: int) -> None:
        self._feeds: Iterator[dict[str, np.ndarray]] = (
            {name: images_NCHW[start : start + batch]} for start in range(0, len(images_NCHW), batch)
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next batch by the name of the input; None after the last."""
        return next(self._feeds, None)


def quantise(request: dict[str, Any]) -> None:
    """Write an ONNX file with QuantizeLinear and DequantizeLinear around its operators.

    Args:
        request: files `source`, `target` and `images` (npy), `batch`, and `skip`: names of kernels whose
            operators stay in float.
    """
    with tempfile.TemporaryDirectory() as folder:
        folded = str(Path(folder) / "folded.onnx")
        # Without it the quantisers would stand between each convolution and its BatchNorm.
        quant_pre_process(request["source"], folded, skip_symbolic_shape=True)
        graph = onnx.load(folded).graph
        images = np.load(request["images"], allow_pickle=False)
        # Unsigned activations with signed weights are what VNNI multiplies.
        quantize_static(
            folded,
            request["target"],
            Images(graph.input[0].name, images, request["batch"]),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[node_of(graph, kernel) for kernel in request["skip"]],
        )
    strip(Path(request["target"]))


def node_of(graph: onnx.GraphProto, kernel: str) -> str:
    """Return the name of the node with a kernel; what was folded into it stands before the kernel's own name."""
    found = [node.name for node in graph.node if any(f"_{name}".endswith(f"_{kernel}") for name in node.input)]
    if len(found) != 1:
        sys.exit(f"expected one node with the kernel {kernel}, found {len(found)}")
    return str(found[0])


def strip(path: Path) -> None:
    """Drop the operator sets that ONNX Runtime names and the graph does not use, and check what is left."""
    model = onnx.load(path)
    used = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    onnx.save(model, path)
    onnx.checker.check_model(str(path), full_check=True)
    if not any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        sys.exit("ONNX Runtime quantised nothing")


if __name__ == "__main__":
    quantise(json.load(sys.stdin))
