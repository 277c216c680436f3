"""A frozen program as `model.onnx`, converted by paddle2onnx in a process of its own, because it can abort."""

import importlib.util
import os
import sys
from pathlib import Path

from ppresnet.bundle import JSON, ONNX, PARAMS, PDMODEL
from ppresnet.errors import PpresnetError
from ppresnet.layers.norm import EPSILON
from ppresnet.processes import ending, indented, run_to_end

OPSET = 17
TIMEOUT_SECONDS = 900.0

# paddle2onnx 2.1.0: its default optimize_tool, polygraphy, installs packages by pip while it runs; "None" never does.
# It makes an InstanceNormalization of each GroupNorm of Paddle 3.3.1 and leaves the epsilon of that uninitialised.
_SCRIPT = """
import sys
import paddle2onnx, onnx
program, params, target, opset, epsilon = sys.argv[1:]
paddle2onnx.export(program, params, target, opset_version=int(opset), auto_upgrade_opset=False, optimize_tool="None")
model = onnx.load(target)
grouped = [node for node in model.graph.node if node.op_type == "InstanceNormalization"]
for node in grouped:
    del node.attribute[:]
    node.attribute.append(onnx.helper.make_attribute("epsilon", float(epsilon)))
if grouped:
    onnx.save(model, target)
onnx.checker.check_model(target, full_check=True)
opsets = {entry.domain: entry.version for entry in model.opset_import}
if opsets != {"": int(opset)}:
    sys.exit(f"expected opset {opset} alone, found {opsets}")
for port in (*model.graph.input, *model.graph.output):
    if not port.type.tensor_type.shape.dim[0].dim_param:
        sys.exit(f"the batch dimension of {port.name} is fixed")
"""


def can_convert() -> bool:
    """Return whether paddle2onnx and onnx are installed; paddle2onnx 2 needs Paddle 3."""
    return all(importlib.util.find_spec(name) is not None for name in ("paddle2onnx", "onnx"))


def convert(directory: Path, *, opset: int = OPSET, timeout: float = TIMEOUT_SECONDS) -> str:
    """Write `model.onnx` beside the frozen programs, and return the name of the program it was made of.

    The `.json` is tried first, then the `.pdmodel`, which knows mappers that the `.json` may lack.

    Args:
        directory: holds what `freeze` wrote.
        opset: of ONNX.
        timeout: seconds for each attempt.

    Raises:
        PpresnetError: no attempt succeeded; the message holds the last output of each.
    """
    failures = []
    for program in (JSON, PDMODEL):
        if not (directory / program).is_file():
            continue
        if not (reason := _attempt(directory, program, opset, timeout)):
            return program
        (directory / ONNX).unlink(missing_ok=True)
        failures.append(f"from {program}: {reason}")
    raise PpresnetError(f"{ONNX} could not be made; leave it out with --formats json,pdmodel\n" + "\n".join(failures))


def _attempt(directory: Path, program: str, opset: int, timeout: float) -> str:
    """Return why the conversion failed, or ''."""
    command = [sys.executable, "-c", _SCRIPT, program, PARAMS, ONNX, str(opset), str(EPSILON)]
    environment = os.environ | {"POLYGRAPHY_AUTOINSTALL_DEPS": "0"}
    ended = run_to_end(command, directory, environment, timeout)
    if ended.code is None:
        return f"no result after {timeout:g} s; its last output:\n{indented(ended.lines)}"
    if ended.code == 0 and (directory / ONNX).is_file():
        return ""
    return f"paddle2onnx {ending(ended.code)}; its last output:\n{indented(ended.lines)}"
