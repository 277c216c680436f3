"""The loss of a batch against float64, with a teacher, smoothing and mixed images."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn

from ppresnet.config import RunConfig, from_dict
from ppresnet.data import Batch
from ppresnet.train.passes import Passes

IMAGES = np.random.default_rng(0).standard_normal((6, 1, 8, 8)).astype(np.float32)
LABELS = np.array([0, 3, 9, 1, 1, 5])
BATCH = Batch(IMAGES, LABELS, np.arange(6), ())


def linear(seed: int) -> nn.Layer:
    paddle.seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def log_softmax(values: np.ndarray) -> np.ndarray:
    values = values.astype("float64")
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))


def loss_of(config: RunConfig, model: nn.Layer, **options: Any) -> float:
    ((loss, logits, labels),) = Passes(config, model, **options).run(BATCH, 5, 0, 1, lambda count: count / 6)
    assert logits.shape == (6, 10) and labels is not None
    return loss


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_teacher_has_its_weight_at_its_temperature(weight: float, temperature: float) -> None:
    model, teacher = linear(1), linear(2)
    logits, taught = (net(paddle.to_tensor(IMAGES)).numpy() for net in (model, teacher))
    own = -log_softmax(logits)[np.arange(6), LABELS].mean()
    student, target = log_softmax(logits / temperature), log_softmax(taught / temperature)
    divergence = (np.exp(target) * (target - student)).sum(axis=1).mean() * temperature**2
    config = from_dict({"distill": {"checkpoint": "a file", "weight": weight, "temperature": temperature}})
    found = loss_of(config, model, teacher=teacher)
    assert found == pytest.approx((1 - weight) * own + weight * divergence, rel=1e-5)
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("way", ["mixup", "cutmix"])
def test_mixed_images_are_told_both_labels(way: str) -> None:
    inputs: list[np.ndarray] = []
    model = linear(1)
    model.register_forward_pre_hook(lambda _, given: inputs.append(given[0].numpy()))
    found = loss_of(from_dict({"train": {way: 1.0}}), model)
    log = log_softmax(model(paddle.to_tensor(inputs[0])).numpy())
    # Each image is a blend, pixel by pixel or in area, of itself and one other: find the share and the other.
    wanted = []
    for image, label, own, row in zip(inputs[0], LABELS, IMAGES, log, strict=True):
        apart = [np.abs(image - other).mean() / (np.abs(own - other).mean() or np.inf) for other in IMAGES]
        other = int(np.argmin([value or np.inf for value in apart]))
        share = float(np.mean(np.isclose(image, own))) if way == "cutmix" else apart[other]
        share = 1.0 if np.array_equal(image, own) else share
        wanted.append(-share * row[label] - (1 - share) * row[LABELS[other]])
    assert not np.array_equal(inputs[0], IMAGES)
    assert found == pytest.approx(float(np.mean(wanted)), rel=1e-3)


def test_forward_passes_run_in_the_cast_and_parts_keep_their_labels() -> None:
    inside: list[bool] = [False]
    seen: list[bool] = []

    @contextmanager
    def cast() -> Iterator[None]:
        inside[0] = True
        yield
        inside[0] = False

    model = linear(1)
    model.register_forward_pre_hook(lambda *_: seen.append(inside[0]))
    found = Passes(from_dict({}), model, cast=cast).run(BATCH, 5, 0, 4, lambda count: count / 6)
    assert seen == [True] * 4
    np.testing.assert_array_equal(np.concatenate([labels for _, _, labels in found]), LABELS)
    plain = log_softmax(model(paddle.to_tensor(IMAGES)).numpy())
    total = sum(loss * len(labels) for loss, _, labels in found)
    assert total == pytest.approx(float(-plain[np.arange(6), LABELS].sum()), rel=1e-5)


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_the_recipe(loss: str, smoothing: float) -> None:
    model = linear(1)
    logits = model(paddle.to_tensor(IMAGES)).numpy().astype("float64")
    target = np.eye(10)[LABELS] * (1 - smoothing) + smoothing / 10
    wanted = -(target * log_softmax(logits)).sum(axis=1).mean()
    if loss == "bce":
        wanted = (np.log1p(np.exp(-logits)) * target + np.log1p(np.exp(logits)) * (1 - target)).mean()
    found = loss_of(from_dict({"train": {"loss": loss, "label_smoothing": smoothing}}), model)
    assert found == pytest.approx(wanted, rel=1e-5)
