"""Mixed precision: what is computed in a short type, and by whom.

On a GPU, Paddle casts operators (O1) or the whole network with float32 master weights (O2). On a CPU `auto_cast` of
Paddle 2.6 and 3.3 changes nothing, so bfloat16 means bf16 inside oneDNN's kernels there, and float16 has no effect.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.optimizer import Optimizer

from ppresnet import onednn
from ppresnet.config import AmpConfig
from ppresnet.train.optim import MASTERS
from ppresnet.train.scaling import LossScale


def casting(config: AmpConfig, device: str) -> Callable[[], AbstractContextManager[Any]]:
    """Return what each forward pass runs in: Paddle's `auto_cast` on a GPU, nothing on a CPU."""
    if config.level == "O0" or device == "cpu":
        return nullcontext

    def cast() -> AbstractContextManager[Any]:
        return paddle.amp.auto_cast(  # type: ignore[no-any-return]
            level=config.level,
            dtype=config.dtype,
            custom_white_list=set(config.allow) or None,
            custom_black_list=set(config.deny) or None,
        )

    return cast


def decorated(config: AmpConfig, device: str, model: nn.Layer, optimizer: Optimizer) -> tuple[nn.Layer, Optimizer]:
    """Return the network and the optimiser as O2 wants them on a GPU: short weights, float32 masters."""
    if config.level != "O2" or device == "cpu":
        return model, optimizer
    return paddle.amp.decorate(  # type: ignore[no-any-return]
        models=model, optimizers=optimizer, level="O2", dtype=config.dtype, master_weight=True
    )


def full_weights(model: nn.Layer, optimizer: Optimizer) -> dict[str, np.ndarray]:
    """Return parameters and running statistics by structured name, in float32: O2's masters where there are any."""
    masters = optimizer.state_dict().get(MASTERS, {})
    automatic = {name: parameter.name for name, parameter in model.named_parameters()}
    tensors = {name: masters.get(automatic.get(name), tensor) for name, tensor in model.state_dict().items()}
    short = (paddle.float16, paddle.bfloat16)
    return {name: np.asarray(one.astype("float32") if one.dtype in short else one) for name, one in tensors.items()}


def loss_scale(config: AmpConfig, device: str) -> LossScale | None:
    """Return the loss scale of float16 on a GPU; no other type needs one."""
    if config.level == "O0" or config.dtype != "float16" or device == "cpu":
        return None
    return LossScale(scale=config.scale, growth_steps=config.scale_steps)


def without_effect(config: AmpConfig, device: str) -> str | None:
    """Return a line that says so where the recipe asks for a precision that does nothing on this device."""
    if config.level == "O0" or device != "cpu":
        return None
    if config.dtype == "float16":
        return "amp: float16 does nothing on a CPU; everything is float32 (bfloat16 runs inside oneDNN's kernels)"
    if onednn.active() is None:
        return "amp: bfloat16 does nothing on a CPU without oneDNN's kernels; everything is float32"
    if config.level == "O2" or config.allow or config.deny:
        return "amp: on a CPU bfloat16 is inside oneDNN's kernels alone; O2, allow and deny change nothing there"
    return None
