"""What differs between Paddle 2.6 and 3.x, in one place; everything else keeps to calls that both have.

Seen in 2.6.2 and 3.3.1. pip gives GPU users 2.6.2, which has no `.json` programs and calls oneDNN `mkldnn`.
"""

import contextlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import paddle
from paddle import nn

from ppresnet.errors import RequestError

Format = Literal["json", "pdmodel"]
Function = TypeVar("Function", bound=Callable[..., Any])
_CPU = paddle.CPUPlace()


def has_json() -> bool:
    """Return whether this Paddle writes and runs `.json` programs (PIR); 2.6 crashes on one."""
    return hasattr(paddle, "pir_utils") and hasattr(paddle.inference.Config, "enable_new_ir")


def has_onednn() -> bool:
    """Return whether this Paddle was built with oneDNN (x86 wheels are)."""
    core = paddle.base.core
    modern = hasattr(core, "is_compiled_with_onednn")
    return bool(core.is_compiled_with_onednn() if modern else core.is_compiled_with_mkldnn())


def old_ir() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which programs are of the old kind, which `.pdmodel` holds."""
    return paddle.pir_utils.DygraphOldIrGuard() if has_json() else contextlib.nullcontext()


def save_program(layer: nn.Layer, prefix: Path, inputs: Sequence[Any], format: Format) -> None:
    """Write `prefix.json` or `prefix.pdmodel`, and `prefix.pdiparams`, which is the same for both.

    Args:
        layer: the network, in evaluation mode.
        prefix: path without the ending.
        inputs: one `paddle.static.InputSpec` per argument of its forward.
        format: of the program.

    Raises:
        RequestError: this Paddle cannot write that format.
    """
    if format == "json" and not has_json():
        raise RequestError(f"Paddle {paddle.__version__} writes no .json programs; use 'pdmodel', or Paddle 3.x")
    with contextlib.nullcontext() if format == "json" else old_ir():
        paddle.jit.save(layer, str(prefix), input_spec=list(inputs))


def as_it_stands(function: Function) -> Function:
    """Keep `to_static` from translating a function; 2.6 has no such mark for its bytecode mode (full_graph=False)."""
    marker = getattr(paddle.jit, "marker", None)
    return (marker.unified if marker is not None else paddle.jit.not_to_static)(function)  # type: ignore[no-any-return]


def gelu(x: paddle.Tensor) -> paddle.Tensor:
    """Return x * Phi(x) (Hendrycks and Gimpel 2016, arXiv:1606.08415); `F.gelu` of 3.3.1 cannot become a `.pdmodel`."""
    if not _writes_old_program():
        return paddle.nn.functional.gelu(x)
    return _old_operator("gelu", {"X": x}, {"approximate": False})


def sigmoid(x: paddle.Tensor) -> paddle.Tensor:
    """Return 1 / (1 + exp(-x)); `F.sigmoid` of 3.3.1 cannot become a `.pdmodel`."""
    if not _writes_old_program():
        return paddle.nn.functional.sigmoid(x)
    return _old_operator("sigmoid", {"X": x}, {})


def matmul(x: paddle.Tensor, y: paddle.Tensor, transpose_y: bool = False) -> paddle.Tensor:
    """Return the product of the last two dimensions; `paddle.matmul` of 3.3.1 cannot become a `.pdmodel`."""
    if not _writes_old_program():
        return paddle.matmul(x, y, transpose_y=transpose_y)
    return _old_operator("matmul_v2", {"X": x, "Y": y}, {"trans_x": False, "trans_y": transpose_y})


def empty(shape: Sequence[int], dtype: Any = paddle.float32) -> paddle.Tensor:
    """Return what `paddle.empty` does on the CPU in dynamic mode, in half its time."""
    return paddle._C_ops.empty(shape, dtype, _CPU)


def optimizer_tensors(optimizer: paddle.optimizer.Optimizer) -> dict[str, Any]:
    """Return all that `optimizer.state_dict()` should hold: 2.6 forgets what was restored until the next step."""
    return {**optimizer._accumulators_holder, **optimizer.state_dict()}


def _writes_old_program() -> bool:
    return not (paddle.in_dynamic_mode() or (has_json() and paddle.framework.in_pir_mode()))


def _old_operator(kind: str, inputs: dict[str, paddle.Tensor], attributes: dict[str, Any]) -> paddle.Tensor:
    from paddle.base.layer_helper import LayerHelper

    helper = LayerHelper(kind)
    out = helper.create_variable_for_type_inference(inputs["X"].dtype)
    helper.append_op(type=kind, inputs=inputs, outputs={"Out": out}, attrs=attributes)
    return out


def set_onednn(config: Any, enabled: bool, bfloat16: bool = False, shapes: int = 10) -> None:
    """Turn oneDNN on or off in a fresh `paddle.inference.Config`, explicitly: the default differs between versions.

    Args:
        config: the config; on after off leaves it half on, so it must be a fresh one.
        enabled: whether to use oneDNN.
        bfloat16: whether its kernels compute in bfloat16.
        shapes: how many input shapes oneDNN keeps primitives for; without it the cache grows with every new shape.
    """
    if not enabled:
        if hasattr(config, "disable_onednn"):
            config.disable_onednn()
        elif hasattr(config, "disable_mkldnn"):
            config.disable_mkldnn()
        return
    modern = hasattr(config, "enable_onednn")
    (config.set_onednn_cache_capacity if modern else config.set_mkldnn_cache_capacity)(shapes)
    (config.enable_onednn if modern else config.enable_mkldnn)()
    if bfloat16:
        (config.enable_onednn_bfloat16 if modern else config.enable_mkldnn_bfloat16)()


def enable_onednn_int8(config: Any, operators: Collection[str]) -> None:
    """Turn on the int8 kernels of oneDNN for some types of operators, in a config that has oneDNN on."""
    modern = hasattr(config, "enable_onednn_int8")
    (config.enable_onednn_int8 if modern else config.enable_mkldnn_int8)(set(operators))
