"""A network as the list of operators that it runs in evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.static import InputSpec

from ppresnet import paddle_api
from ppresnet.errors import RequestError

ATTRIBUTES = (
    "axis", "axes", "starts", "ends", "decrease_axis", "strides", "groups", "scale", "bias", "dim", "keep_dim",
    "reduce_all", "trans_x", "trans_y", "begin_norm_axis", "data_format", "data_layout", "num", "sections",
    "dropout_implementation", "is_test",
)  # fmt: skip


@dataclass(frozen=True)
class Operator:
    """One operator: type, the values it takes and gives by slot name, and the attributes that decide about channels."""

    type: str
    inputs: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, tuple[str, ...]]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Trace:
    """What a network does with one image.

    Attributes:
        operators: in the order they run.
        shapes: of every value, with a batch of 1.
        names: structured name of each parameter and buffer, by its name in the program.
        state: structured names of the tensors that a checkpoint holds.
        constants: buffers that no checkpoint holds, by structured name.
        inputs: values that come from outside.
        outputs: values that the network returns.
    """

    operators: tuple[Operator, ...]
    shapes: Mapping[str, tuple[int, ...]]
    names: Mapping[str, str]
    state: frozenset[str]
    constants: Mapping[str, np.ndarray]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def trace(model: nn.Layer, image_shape: tuple[int, int, int]) -> Trace:
    """Return the operators of a network; the object is changed by Paddle, so hand over one that is not used again.

    Args:
        model: is put into evaluation mode.
        image_shape: channels, height and width of an image.

    Raises:
        RequestError: Paddle cannot trace the network.
    """
    model.eval()
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    state = frozenset(model.state_dict())
    spec = InputSpec([1, *image_shape], "float32", "image")
    try:
        with paddle_api.old_ir(), paddle.utils.unique_name.guard():
            static = paddle.jit.to_static(model, full_graph=True, input_spec=[spec])
            program = static.forward.concrete_program
    except Exception as error:  # Paddle raises whatever it likes here
        raise RequestError(
            f"the network cannot be traced, so its channels are not known: {type(error).__name__}: {error}"
        ) from error
    finally:
        paddle.disable_static()  # a trace that fails leaves the process in static mode
    block = program.main_program.global_block()
    return Trace(
        operators=tuple(_operator(op) for op in block.ops),
        shapes={name: tuple(var.shape) for name, var in block.vars.items()},
        names={tensor.name: name for name, tensor in tensors.items()},
        state=state,
        constants={name: np.asarray(tensor) for name, tensor in tensors.items() if name not in state},
        inputs=("image",),
        outputs=tuple(var.name for var in program.outputs),
    )


def _operator(op: Any) -> Operator:
    return Operator(
        type=op.type,
        inputs={name: tuple(op.input(name)) for name in op.input_names if op.input(name)},
        outputs={name: tuple(op.output(name)) for name in op.output_names if op.output(name)},
        attributes={name: op.attr(name) for name in ATTRIBUTES if op.has_attr(name)},
    )
