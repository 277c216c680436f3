"""What a quantised program may be run as; seen with Paddle 3.3.1, oneDNN on AVX-512 with VNNI."""

from __future__ import annotations

import re
from pathlib import Path

from deploy.inference.graph import Graph
from deploy.inference.program import read_graph
from deploy.inference.runtime import Runtime
from ppresnet.errors import RequestError

# An operator's type is field 3 of its description in a `.pdmodel`; attributes of float programs say "quantize" too.
_QUANTISER = re.compile(rb"(?:\x1a.|\.)(?:(?:de)?quantize_linear|fake_[a-z_]*quant)", re.DOTALL)
_MAKE = "quantise a checkpoint with deploy/slim/quantize.py"


def is_quantised(program: Path) -> bool:
    """Return whether a program holds operators that quantise."""
    return _QUANTISER.search(program.read_bytes()) is not None


def expect_precision(program: Path, runtime: Runtime) -> None:
    """Raise where a program and a precision do not belong together.

    Raises:
        RequestError: a quantised program in float, a float program in int8, or a form that oneDNN computes wrongly.
    """
    quantised = is_quantised(program)
    if not quantised and (runtime.precision == "int8" or runtime.simulated):
        raise RequestError(f"{program} is not quantised, so it would run in fp32 silently; {_MAKE}")
    if not quantised or runtime.simulated:
        return
    if runtime.precision != "int8":
        raise RequestError(
            f"{program} is quantised: {runtime.backend} {runtime.precision} would keep every quantiser and run float "
            "kernels between them; ask for onednn int8, or run the float bundle"
        )
    if problem := problem_of(read_graph(program)):
        raise RequestError(f"{program}: {problem}; {_MAKE}")


def problem_of(graph: Graph) -> str:
    """Return why oneDNN's int8 passes would get a quantised program wrong; empty where they do not."""
    old = sorted({op.type for op in graph.ops if op.type.startswith("fake_")})
    if old:
        return f"it has {old[0]}, a form from before quantize_linear, which was never right here"
    scales = {op.outputs[0]: _scale(op.inputs) for op in graph.ops if op.type == "quantize_linear"}
    if not scales:
        return "only its weights are quantised, so no activation has a range"
    for op in graph.ops:
        pairs = [value for value in op.inputs if value in scales] if op.type == "dequantize_linear" else []
        if any(scales[value] != _scale(op.inputs) for value in pairs):
            return (
                "a value is quantised by one scale and dequantised by another, as paddle.quantization writes it; "
                "oneDNN's int8 passes then crash or answer wrongly"
            )
    return ""


def _scale(inputs: tuple[str, ...]) -> str:
    # The slots come in the order of their names: Scale, X, ZeroPoint.
    return inputs[0]
