"""Optimiser steps against their formulas in float64, and state that goes through a checkpoint and back."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.optimizer import Optimizer

from ppresnet.checkpoint import Checkpoint, Store, read
from ppresnet.checkpoint.state import restore_weights, weights_of
from ppresnet.config import OptimConfig, from_dict
from ppresnet.errors import CheckpointError
from ppresnet.layers import ConvNorm
from ppresnet.models import create
from ppresnet.train.clipping import clip_gradients
from ppresnet.train.optim import build_optimizer, optimizer_state, restore_optimizer

NAMES = get_args(OptimConfig.model_fields["name"].annotation)
Array = np.ndarray
Formula = Callable[[Array, list[Array], float, float], Array]


def config_of(**options: Any) -> OptimConfig:
    return from_dict({"optim": options}).optim


def _model() -> nn.Layer:
    paddle.seed(1)
    return nn.Sequential(ConvNorm(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))


def _train(model: nn.Layer, optimizer: Optimizer, steps: int) -> list[dict[str, Array]]:
    """Return the gradients of each step."""
    image = paddle.to_tensor(np.random.default_rng(0).standard_normal((4, 1, 2, 2)).astype(np.float32))
    gradients = []
    for _ in range(steps):
        (model(image) ** 2).mean().backward()
        trained = {name: p for name, p in model.named_parameters() if p.trainable}
        gradients.append({name: p.grad.numpy().astype(np.float64) for name, p in trained.items()})
        optimizer.step()
        optimizer.clear_grad()
    return gradients


def sgd(weight: Array, gradients: list[Array], rate: float, decay: float, nesterov: bool = False) -> Array:
    velocity = np.zeros_like(weight)
    for gradient in gradients:
        gradient = gradient + decay * weight
        velocity = 0.9 * velocity + gradient
        weight = weight - rate * (gradient + 0.9 * velocity if nesterov else velocity)
    return weight


def adam(weight: Array, gradients: list[Array], rate: float, decay: float, trust: bool = False) -> Array:
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    for step, gradient in enumerate(gradients, start=1):
        first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
        move = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.99**step)) + 1e-3) + decay * weight
        ratio = np.linalg.norm(weight) / np.linalg.norm(move) if trust and decay else 1.0
        weight = weight - rate * ratio * move
    return weight


def lars(weight: Array, gradients: list[Array], rate: float, decay: float) -> Array:
    velocity = np.zeros_like(weight)
    for gradient in gradients:
        norm, steep = np.linalg.norm(weight), np.linalg.norm(gradient)
        local = 0.02 * norm / (steep + decay * norm + 1e-3) if decay else 1.0
        velocity = 0.9 * velocity + rate * local * (gradient + decay * weight)
        weight = weight - velocity
    return weight


def rmsprop(weight: Array, gradients: list[Array], rate: float, decay: float, centered: bool = False) -> Array:
    square, mean, velocity = (np.zeros_like(weight) for _ in range(3))
    for gradient in gradients:
        gradient = gradient + decay * weight
        square, mean = 0.8 * square + 0.2 * gradient**2, 0.8 * mean + 0.2 * gradient
        velocity = 0.9 * velocity + rate * gradient / np.sqrt(square - mean**2 * centered + 1e-3)
        weight = weight - velocity
    return weight


FORMULAS: list[tuple[dict[str, Any], Formula]] = [
    ({"name": "sgd", "nesterov": False}, sgd),
    ({"name": "sgd", "nesterov": True}, partial(sgd, nesterov=True)),
    ({"name": "adamw", "beta2": 0.99, "epsilon": 1e-3}, adam),
    ({"name": "lamb", "beta2": 0.99, "epsilon": 1e-3}, partial(adam, trust=True)),
    ({"name": "lars", "trust": 0.02, "epsilon": 1e-3}, lars),
    ({"name": "rmsprop", "rho": 0.8, "epsilon": 1e-3}, rmsprop),
    ({"name": "rmsprop", "rho": 0.8, "epsilon": 1e-3, "centered": True}, partial(rmsprop, centered=True)),
]


@pytest.mark.parametrize(("options", "formula"), FORMULAS, ids=[str(options) for options, _ in FORMULAS])
def test_each_parameter_follows_the_formula_at_its_own_pace(options: dict[str, Any], formula: Formula) -> None:
    model = _model()
    groups = [{"match": "2", "lr": 0.5, "weight_decay": 2.0}]
    optimizer = build_optimizer(config_of(lr=0.02, weight_decay=0.1, groups=groups, **options), model)
    before = {name: parameter.numpy().astype(np.float64) for name, parameter in model.named_parameters()}
    gradients = _train(model, optimizer, 3)
    paces = {"0.conv.weight": (0.02, 0.1), "0.norm.weight": (0.02, 0.0), "0.norm.bias": (0.02, 0.0)}
    paces |= {"2.weight": (0.01, 0.2), "2.bias": (0.01, 0.0)}
    assert set(paces) == set(gradients[0])
    for name, (rate, decay) in paces.items():
        wanted = formula(before[name], [step[name] for step in gradients], rate, decay)
        found = dict(model.named_parameters())[name].numpy()
        assert np.abs(found - before[name]).max() > 1e-5
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6, err_msg=name)


def test_every_optimiser_has_a_formula() -> None:
    assert {options["name"] for options, _ in FORMULAS} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_biases_and_norms_are_not_decayed(name: str) -> None:
    model = _model()
    optimizer = build_optimizer(config_of(name=name, lr=0.1, weight_decay=0.5), model)
    before = {key: tensor.numpy().copy() for key, tensor in model.named_parameters()}
    for parameter in model.parameters():
        if parameter.trainable:
            parameter.grad = paddle.zeros_like(parameter)
    optimizer.step()
    moved = {key for key, tensor in model.named_parameters() if not np.array_equal(tensor.numpy(), before[key])}
    assert moved == {"0.conv.weight", "2.weight"}


def test_gradients_are_clipped_by_the_norm_of_all_of_them_whatever_their_group() -> None:
    model = nn.Linear(2, 1)
    config = config_of(lr=1.0, momentum=0.0, nesterov=False, weight_decay=0.0, groups=[{"match": "bias", "lr": 0.5}])
    optimizer = build_optimizer(config, model)
    before = model.weight.numpy().copy(), model.bias.numpy().copy()
    model.weight.grad = paddle.to_tensor(np.array([[30.0], [40.0]], np.float32))
    model.bias.grad = paddle.to_tensor(np.array([120.0], np.float32))
    clip_gradients(model, None)
    assert model.bias.grad.tolist() == [120.0]
    clip_gradients(model, 1.3)
    optimizer.step()
    np.testing.assert_allclose(before[0] - model.weight.numpy(), [[0.3], [0.4]], rtol=1e-5)
    np.testing.assert_allclose(before[1] - model.bias.numpy(), [0.6], rtol=1e-5)


def _bytes(optimizer: Optimizer, model: nn.Layer) -> dict[str, bytes]:
    tensors = weights_of(model) | optimizer_state(optimizer, model)
    return {name: np.ascontiguousarray(array).tobytes() for name, array in tensors.items()}


@pytest.mark.parametrize("name", NAMES)
def test_training_goes_on_from_a_checkpoint_byte_for_byte(name: str, tmp_path: Path) -> None:
    config = config_of(name=name, lr=0.05, centered=True, layer_decay=0.5, groups=[{"match": "2.bias", "lr": 3.0}])
    model = _model()
    optimizer = build_optimizer(config, model)
    _train(model, optimizer, 2)
    state = optimizer_state(optimizer, model)
    assert {key.rpartition("/")[0] for key in state} == {n for n, p in model.named_parameters() if p.trainable}
    path = Store(tmp_path).save(Checkpoint(weights_of(model), state, {}, spec={}, config={}, progress={}), 2)
    middle = _bytes(optimizer, model)
    _train(model, optimizer, 2)
    whole = _bytes(optimizer, model)
    assert all(whole[key] != middle[key] for key in state)
    twin = _model()  # its parameters have other automatic names
    twin_optimizer = build_optimizer(config, twin)
    # The second round goes back with an optimiser that has stepped, as a rollback does.
    for _ in range(2):
        restore_weights(twin, read(path).weights)
        restore_optimizer(twin_optimizer, twin, read(path).optimizer)
        _train(twin, twin_optimizer, 2)
        assert _bytes(twin_optimizer, twin) == whole


def test_state_of_another_architecture_is_refused() -> None:
    model = _model()
    optimizer = build_optimizer(OptimConfig(), model)
    with pytest.raises(CheckpointError, match=r"names 'stem\.weight', which the model does not have"):
        restore_optimizer(optimizer, model, {"stem.weight/velocity_0": np.zeros(1, np.float32)})


def test_tokens_and_positions_are_not_decayed() -> None:
    model = create("vit_tiny_patch16_224", input_size=32)
    before = {name: parameter.numpy() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = paddle.zeros_like(parameter)
    build_optimizer(OptimConfig(lr=1.0, momentum=0.0, nesterov=False, weight_decay=0.5), model).step()
    moved = {name for name, parameter in model.named_parameters() if (parameter.numpy() != before[name]).any()}
    assert moved and all(name.endswith("weight") and before[name].ndim > 1 for name in moved)
    assert any(name.endswith("pos_embed") for name in before)
