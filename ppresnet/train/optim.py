"""Optimisers: weight decay on kernels only, and state under structured names."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.optimizer import Optimizer

from ppresnet.config.training import OptimConfig
from ppresnet.errors import CheckpointError


def build_optimizer(config: OptimConfig, model: nn.Layer) -> Optimizer:
    """Return the optimiser of a model; only kernels are decayed.

    With `layer_decay` below 1, each stage learns so much slower than the one after it.

    Args:
        config: name and numbers; the learning rate is set anew before each step.
        model: its trainable parameters are optimised.
    """
    factors = layer_factors(model, config.layer_decay)
    kinds: dict[tuple[float, float], list[paddle.Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.trainable:
            kernel = parameter.ndim > 1 and name.endswith("weight")  # no bias, scale, token or position
            decay = config.weight_decay if kernel else 0.0
            kinds.setdefault((factors[name], decay), []).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": members, "learning_rate": factor, "weight_decay": decay}
        for (factor, decay), members in kinds.items()
    ]
    clip = nn.ClipGradByGlobalNorm(config.clip_norm) if config.clip_norm is not None else None
    shared: dict[str, Any] = {"learning_rate": config.lr, "parameters": groups, "grad_clip": clip}
    if config.name == "adamw":
        return paddle.optimizer.AdamW(beta1=config.beta1, beta2=config.beta2, epsilon=config.epsilon, **shared)
    return paddle.optimizer.Momentum(momentum=config.momentum, use_nesterov=config.nesterov, **shared)


def layer_factors(model: nn.Layer, decay: float) -> dict[str, float]:
    """Return the factor of the learning rate of every parameter, 1 for the last layers (arXiv:2106.08254, section 3).

    The parts of a network count in their order: each stage of a sequence by itself, everything else by its first name.

    Args:
        model: the network.
        decay: factor from each part to the one before it.
    """
    parts: dict[str, str] = {}
    for name, _ in model.named_parameters():
        found = re.match(r"\w+\.\d+|\w+", name)
        parts[name] = found[0] if found else name
    order = list(dict.fromkeys(parts.values()))
    return {name: decay ** (len(order) - 1 - order.index(part)) for name, part in parts.items()}


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
