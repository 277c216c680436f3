"""Optimiser steps against numpy, and state that moves between models."""

import numpy as np
import paddle
import pytest
from paddle import nn

from ppresnet.config.training import OptimConfig
from ppresnet.errors import CheckpointError
from ppresnet.layers import ConvNorm
from ppresnet.models import create
from ppresnet.train.optim import build_optimizer, layer_factors, optimizer_state, restore_optimizer


def _model() -> nn.Layer:
    paddle.seed(1)
    return nn.Sequential(ConvNorm(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))


def _train(model: nn.Layer, optimizer: paddle.optimizer.Optimizer, steps: int) -> list[np.ndarray]:
    """Return the gradients of the linear kernel before each step."""
    image = paddle.to_tensor(np.random.default_rng(0).standard_normal((4, 1, 2, 2)).astype(np.float32))
    gradients = []
    for _ in range(steps):
        (model(image) ** 2).mean().backward()
        gradients.append(model[2].weight.grad.numpy().copy())
        optimizer.step()
        optimizer.clear_grad()
    return gradients


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_follows_the_formula(nesterov: bool) -> None:
    model = _model()
    config = OptimConfig(lr=0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.01)
    weight, velocity = model[2].weight.numpy().copy(), np.zeros((8, 3), np.float32)
    for gradient in _train(model, build_optimizer(config, model), 3):
        gradient = gradient + 0.01 * weight
        velocity = 0.9 * velocity + gradient
        weight = weight - 0.1 * (gradient + 0.9 * velocity if nesterov else velocity)
    np.testing.assert_allclose(model[2].weight.numpy(), weight, rtol=1e-5, atol=1e-6)


def test_adamw_follows_the_formula() -> None:
    model = _model()
    config = OptimConfig(name="adamw", lr=0.01, weight_decay=0.1)
    weight = model[2].weight.numpy().astype(np.float64)
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    for step, gradient in enumerate(_train(model, build_optimizer(config, model), 3), start=1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        direction = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        weight = weight - 0.01 * (direction + 0.1 * weight)
    np.testing.assert_allclose(model[2].weight.numpy(), weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_biases_and_norms_are_not_decayed(name: str) -> None:
    model = _model()
    optimizer = build_optimizer(OptimConfig(name=name, lr=0.1, weight_decay=0.5), model)
    before = {key: tensor.numpy().copy() for key, tensor in model.named_parameters()}
    for parameter in model.parameters():
        if parameter.trainable:
            parameter.grad = paddle.zeros_like(parameter)
    optimizer.step()
    moved = {key for key, tensor in model.named_parameters() if not np.array_equal(tensor.numpy(), before[key])}
    assert moved == {"0.conv.weight", "2.weight"}


def test_the_gradient_is_clipped_by_its_global_norm() -> None:
    model = nn.Linear(2, 1)
    optimizer = build_optimizer(
        OptimConfig(lr=1.0, momentum=0.0, nesterov=False, weight_decay=0.0, clip_norm=1.0), model
    )
    before = model.weight.numpy().copy()
    model.weight.grad = paddle.to_tensor(np.array([[30.0], [40.0]], np.float32))
    model.bias.grad = paddle.zeros([1])
    optimizer.step()
    np.testing.assert_allclose(before - model.weight.numpy(), [[0.6], [0.8]], rtol=1e-5)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_state_moves_to_another_model_of_the_same_process(name: str) -> None:
    config = OptimConfig(name=name, lr=0.05)
    model = _model()
    optimizer = build_optimizer(config, model)
    _train(model, optimizer, 2)
    twin = _model()
    twin.set_state_dict(model.state_dict())
    twin_optimizer = build_optimizer(config, twin)
    restore_optimizer(twin_optimizer, twin, optimizer_state(optimizer, model))
    _train(model, optimizer, 2)
    _train(twin, twin_optimizer, 2)
    for (key, ours), (_, theirs) in zip(model.named_parameters(), twin.named_parameters(), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=key)


def test_state_of_another_architecture_is_refused() -> None:
    model = _model()
    optimizer = build_optimizer(OptimConfig(), model)
    with pytest.raises(CheckpointError, match=r"names 'stem\.weight', which the model does not have"):
        restore_optimizer(optimizer, model, {"stem.weight/velocity_0": np.zeros(1, np.float32)})


def test_layer_decay_slows_each_part_before_the_last() -> None:
    paddle.seed(0)
    model = create("cifar_resnet20", in_channels=1, input_size=8)
    factors = layer_factors(model, 0.5)
    assert factors["stem.conv.weight"] == 1 / 16
    assert factors["stages.0.2.branch.0.conv.weight"] == 1 / 8
    assert factors["stages.2.0.branch.0.conv.weight"] == 1 / 2
    assert factors["head.fc.weight"] == 1.0
    config = OptimConfig(lr=0.5, momentum=0.0, nesterov=False, weight_decay=0.0, layer_decay=0.5)
    optimizer = build_optimizer(config, model)
    before = {name: parameter.numpy() for name, parameter in model.named_parameters()}
    model(paddle.randn([2, 1, 8, 8])).sum().backward()
    gradients = {name: p.grad.numpy() for name, p in model.named_parameters() if p.trainable and p.grad is not None}
    optimizer.step()
    after = {name: parameter.numpy() for name, parameter in model.named_parameters()}
    for name in ("stem.conv.weight", "stages.1.0.branch.0.conv.weight", "head.fc.weight"):
        np.testing.assert_allclose(after[name], before[name] - 0.5 * factors[name] * gradients[name], rtol=1e-5)


def test_tokens_and_positions_are_not_decayed() -> None:
    model = create("vit_tiny_patch16_224", input_size=32)
    before = {name: parameter.numpy() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = paddle.zeros_like(parameter)
    build_optimizer(OptimConfig(lr=1.0, momentum=0.0, nesterov=False, weight_decay=0.5), model).step()
    moved = {name for name, parameter in model.named_parameters() if (parameter.numpy() != before[name]).any()}
    assert moved and all(name.endswith("weight") and before[name].ndim > 1 for name in moved)
    assert any(name.endswith("pos_embed") for name in before)
