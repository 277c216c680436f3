"""Optimisers: weight decay on kernels only, and state under structured names."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.optimizer import Optimizer

from ppresnet.config.training import OptimConfig
from ppresnet.errors import CheckpointError


def build_optimizer(config: OptimConfig, model: nn.Layer) -> Optimizer:
    """Return the optimiser of a model; biases and normalisation parameters are not decayed.

    Args:
        config: name and numbers; the learning rate is set anew before each step.
        model: its trainable parameters are optimised.
    """
    trained = [parameter for parameter in model.parameters() if parameter.trainable]
    groups = [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    clip = nn.ClipGradByGlobalNorm(config.clip_norm) if config.clip_norm is not None else None
    shared: dict[str, Any] = {"learning_rate": config.lr, "parameters": groups, "grad_clip": clip}
    if config.name == "adamw":
        return paddle.optimizer.AdamW(beta1=config.beta1, beta2=config.beta2, epsilon=config.epsilon, **shared)
    return paddle.optimizer.Momentum(momentum=config.momentum, use_nesterov=config.nesterov, **shared)


def optimizer_state(optimizer: Optimizer, model: nn.Layer) -> dict[str, np.ndarray]:
    """Return the optimiser's tensors as `structured parameter name/accumulator`.

    Paddle keys them by automatic names such as `conv2d_3.w_0`, which differ for a second model in one process.
    """
    structured = {parameter.name: name for name, parameter in model.named_parameters()}
    arrays = {}
    for key, tensor in optimizer.state_dict().items():
        owner = _owner(key, structured)
        arrays[f"{structured[owner]}/{key[len(owner) + 1 :]}"] = np.asarray(tensor)
    return arrays


def restore_optimizer(optimizer: Optimizer, model: nn.Layer, arrays: Mapping[str, np.ndarray]) -> None:
    """Put back what `optimizer_state` gave, into an optimiser that has not stepped yet.

    Raises:
        CheckpointError: a tensor belongs to no parameter of the model.
    """
    automatic = {name: parameter.name for name, parameter in model.named_parameters()}
    state = {}
    for key, array in arrays.items():
        name, _, accumulator = key.rpartition("/")
        if name not in automatic:
            raise CheckpointError(f"the optimiser state names '{name}', which the model does not have")
        state[f"{automatic[name]}_{accumulator}"] = paddle.to_tensor(array)
    optimizer.set_state_dict(state)


def _owner(key: str, names: Mapping[str, str]) -> str:
    return max((name for name in names if key.startswith(f"{name}_")), key=len)
