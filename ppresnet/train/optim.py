"""Optimisers, and their state under structured names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.optimizer import Optimizer

from ppresnet import paddle_api
from ppresnet.config import OptimConfig
from ppresnet.errors import CheckpointError
from ppresnet.train.groups import Pace, paces
from ppresnet.train.lars import Lars

Members = Mapping[Pace, list[Tensor]]

MASTERS = "master_weights"  # what Paddle calls the float32 weights behind those of O2


def build_optimizer(config: OptimConfig, model: nn.Layer) -> Optimizer:
    """Return the optimiser of a model, one of Paddle's own; `groups` says how each parameter learns.

    Args:
        config: name and numbers; the learning rate is set anew before each step, and gradients are clipped before it.
        model: its trainable parameters are optimised.

    Raises:
        ConfigError: a rule of `optim.groups` matches no parameter.
    """
    pace = paces(config, model)
    members: dict[Pace, list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if name in pace:
            members.setdefault(pace[name], []).append(parameter)
    return _OPTIMIZERS[config.name](config, members)


def _sgd(config: OptimConfig, members: Members) -> Optimizer:
    groups = _groups(members, "weight_decay")
    return paddle.optimizer.Momentum(config.lr, config.momentum, groups, use_nesterov=config.nesterov)


def _adamw(config: OptimConfig, members: Members) -> Optimizer:
    groups = _groups(members, "weight_decay")
    return paddle.optimizer.AdamW(config.lr, config.beta1, config.beta2, config.epsilon, groups)


def _rmsprop(config: OptimConfig, members: Members) -> Optimizer:
    groups = _groups(members, "weight_decay")
    return paddle.optimizer.RMSProp(
        config.lr, config.rho, config.epsilon, config.momentum, config.centered, parameters=groups
    )


def _lamb(config: OptimConfig, members: Members) -> Optimizer:
    groups = _groups(members, "lamb_weight_decay")
    return paddle.optimizer.Lamb(
        config.lr, beta1=config.beta1, beta2=config.beta2, epsilon=config.epsilon, parameters=groups
    )


def _lars(config: OptimConfig, members: Members) -> Optimizer:
    pairs = [(parameter, pace) for pace, parameters in members.items() for parameter in parameters]
    return Lars(
        [parameter for parameter, _ in pairs],
        factors={parameter.name: pace.factor for parameter, pace in pairs},
        decays={parameter.name: pace.decay for parameter, pace in pairs},
        learning_rate=config.lr,
        momentum=config.momentum,
        lars_coeff=config.trust,
        epsilon=config.epsilon,
    )


def _groups(members: Members, decay: str) -> list[dict[str, Any]]:
    return [
        {"params": parameters, "learning_rate": pace.factor, decay: pace.decay} for pace, parameters in members.items()
    ]


_OPTIMIZERS: Mapping[str, Callable[[OptimConfig, Members], Optimizer]] = {
    "sgd": _sgd,
    "adamw": _adamw,
    "lars": _lars,
    "lamb": _lamb,
    "rmsprop": _rmsprop,
}


def optimizer_state(optimizer: Optimizer, model: nn.Layer) -> dict[str, np.ndarray]:
    """Return the optimiser's tensors as `structured parameter name/accumulator`.

    Paddle keys them by automatic names such as `conv2d_3.w_0`, which differ for a second model in one process.
    """
    structured = {parameter.name: name for name, parameter in model.named_parameters()}
    state = paddle_api.optimizer_tensors(optimizer)
    masters = state.pop(MASTERS, {})
    arrays = {f"{structured[owner]}/{MASTERS}": np.asarray(tensor) for owner, tensor in masters.items()}
    for key, tensor in state.items():
        owner = _owner(key, structured)
        arrays[f"{structured[owner]}/{key[len(owner) + 1 :]}"] = np.asarray(tensor)
    return arrays


def restore_optimizer(optimizer: Optimizer, model: nn.Layer, arrays: Mapping[str, np.ndarray]) -> None:
    """Put back what `optimizer_state` gave, into an optimiser that has not stepped yet.

    Raises:
        CheckpointError: a tensor belongs to no parameter of the model.
    """
    automatic = {name: parameter.name for name, parameter in model.named_parameters()}
    state: dict[str, Any] = {}
    for key, array in arrays.items():
        name, _, accumulator = key.rpartition("/")
        if name not in automatic:
            raise CheckpointError(f"the optimiser state names '{name}', which the model does not have")
        if accumulator == MASTERS:
            state.setdefault(MASTERS, {})[automatic[name]] = paddle.to_tensor(array)
        else:
            state[f"{automatic[name]}_{accumulator}"] = paddle.to_tensor(array)
    optimizer.set_state_dict(state)


def _owner(key: str, names: Mapping[str, str]) -> str:
    return max((name for name in names if key.startswith(f"{name}_")), key=len)
