"""Puts right what paddle2onnx 2.1.0 writes for `pad3d`: the value to pad with is memory that was never set.

Its reader looks for another attribute than the one Paddle 3 writes (`pad_value`, float64), so the constant in the file is
zero on some days and 1e31 on others. The value stands in the `.json` program, and is taken from there.
"""

import json
import re
from pathlib import Path

import numpy as np

from ppresnet.errors import PpresnetError

_OUTPUT = re.compile(r"p2o\.pd_op\.pad3d\.(\d+)\.\d+")


def repair_pads(model: Path, program: Path) -> int:
    """Set the padding value of every `pad3d` in an ONNX file to that of its program, and return how many there are.

    Args:
        model: the `.onnx` file; rewritten when it has such a node.
        program: the `.json` program with the same operators.

    Raises:
        PpresnetError: the file does not have the padding operators of the program.
        OSError: it could not be written.
    """
    import onnx

    values = pad_values(program)
    if not values:
        return 0
    proto = onnx.load(model)
    nodes = {int(match[1]): node for node in proto.graph.node if node.output and (match := _OUTPUT.fullmatch(node.output[0]))}
    constants = {node.output[0]: node for node in proto.graph.node if node.op_type == "Constant"}
    if sorted(nodes) != list(range(len(values))):
        raise PpresnetError(f"{model} has {len(nodes)} of the {len(values)} padding operators of {program.name}; report this model")
    for index, value in enumerate(values):
        node = nodes[index]
        if node.op_type != "Pad" or len(node.input) < 3 or node.input[2] not in constants:
            raise PpresnetError(f"{model}: {node.name} is no padding with a constant value; report this model")
        (attribute,) = constants[node.input[2]].attribute
        dtype = onnx.helper.tensor_dtype_to_np_dtype(attribute.t.data_type)
        attribute.t.CopyFrom(onnx.numpy_helper.from_array(np.array(value, dtype), attribute.t.name))
    model.write_bytes(proto.SerializeToString())
    return len(values)


def pad_values(program: Path) -> list[float]:
    """Return the padding value of every `pad3d` of a `.json` program, in its order."""
    operators = json.loads(program.read_bytes())["program"]["regions"][0]["blocks"][0]["ops"]
    return [
        float(attribute["AT"]["D"])
        for operator in operators
        if operator["#"].endswith(".pad3d")
        for attribute in operator["A"]
        if attribute["N"] == "pad_value"
    ]
