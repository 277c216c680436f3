"""Losses against their formulas in float64."""

import numpy as np
import paddle
import pytest
from paddle import nn

from ppresnet.config import from_dict
from ppresnet.data import Batch
from ppresnet.train.losses import cross_entropy, distillation, mixed_cross_entropy, summed_cross_entropy
from ppresnet.train.passes import Passes

RNG = np.random.default_rng(0)
LOGITS, TEACHER = RNG.standard_normal((2, 5, 7)).astype("float32")
LABELS, OTHERS = RNG.integers(0, 7, (2, 5))


def log_softmax(values: np.ndarray) -> np.ndarray:
    values = values.astype("float64")
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))


def expected(labels: np.ndarray, smoothing: float) -> float:
    target = np.eye(7)[labels] * (1 - smoothing) + smoothing / 7
    return float(-(target * log_softmax(LOGITS)).sum(axis=1).mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(smoothing: float) -> None:
    found = cross_entropy(paddle.to_tensor(LOGITS), paddle.to_tensor(LABELS), smoothing)
    assert float(found) == pytest.approx(expected(LABELS, smoothing), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_two_labels_count_by_their_share(share: float, smoothing: float) -> None:
    tensors = (paddle.to_tensor(array) for array in (LOGITS, LABELS, OTHERS))
    found = mixed_cross_entropy(*tensors, share, smoothing)
    wanted = share * expected(LABELS, smoothing) + (1 - share) * expected(OTHERS, smoothing)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distillation_is_the_softened_divergence(temperature: float) -> None:
    student, teacher = log_softmax(LOGITS / temperature), log_softmax(TEACHER / temperature)
    wanted = (np.exp(teacher) * (teacher - student)).sum(axis=1).mean() * temperature**2
    found = distillation(paddle.to_tensor(LOGITS), paddle.to_tensor(TEACHER), temperature)
    assert float(found) == pytest.approx(wanted, rel=1e-4)
    same = distillation(paddle.to_tensor(LOGITS), paddle.to_tensor(LOGITS), temperature)
    assert abs(float(same)) < 1e-5


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", ["cross_entropy", "bce"])
def test_short_logits_have_a_loss_in_float32(dtype: str, kind: str) -> None:
    short = paddle.to_tensor(LOGITS).astype(dtype)
    loss = cross_entropy(short, paddle.to_tensor(LABELS), kind=kind)  # type: ignore[arg-type]
    same = cross_entropy(short.astype("float32"), paddle.to_tensor(LABELS), kind=kind)  # type: ignore[arg-type]
    assert loss.dtype == paddle.float32
    assert float(loss) == float(same)
    assert np.isfinite(float(loss * 65536.0))  # the largest float16 is 65504


SEVERAL, ELSE = RNG.integers(0, 2, (2, 5, 7))


def binary(targets: np.ndarray) -> float:
    shares = 1 / (1 + np.exp(-LOGITS.astype("float64")))
    return float(-(targets * np.log(shares) + (1 - targets) * np.log(1 - shares)).mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_several_labels_are_a_yes_or_no_for_each_class(share: float, smoothing: float) -> None:
    tensors = (paddle.to_tensor(array) for array in (LOGITS, SEVERAL, ELSE))
    found = mixed_cross_entropy(*tensors, share, smoothing, "bce")
    mixed = share * SEVERAL + (1 - share) * ELSE  # the loss of the mixed targets, since it is linear in them
    smooth = mixed * (1 - smoothing) + smoothing * mixed.mean(axis=1, keepdims=True)
    assert float(found) == pytest.approx(binary(smooth), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_one_label_can_be_a_yes_or_no_for_each_class_too(smoothing: float) -> None:
    target = np.eye(7)[LABELS] * (1 - smoothing) + smoothing / 7
    found = cross_entropy(paddle.to_tensor(LOGITS), paddle.to_tensor(LABELS), smoothing, "bce")
    assert float(found) == pytest.approx(binary(target), rel=1e-5)


def test_sums_are_the_mean_times_the_images() -> None:
    logits = paddle.to_tensor(LOGITS)
    one, several = paddle.to_tensor(LABELS), paddle.to_tensor(SEVERAL)
    assert summed_cross_entropy(logits, one, "cross_entropy") == pytest.approx(5 * expected(LABELS, 0.0), rel=1e-5)
    assert summed_cross_entropy(logits, several, "bce") == pytest.approx(5 * binary(SEVERAL), rel=1e-5)


@pytest.mark.parametrize(("loss", "smoothing"), [("cross_entropy", 0.1), ("bce", 0.0), ("bce", 0.1)])
def test_a_step_learns_by_the_loss_of_the_recipe(loss: str, smoothing: float) -> None:
    config = from_dict({"train": {"loss": loss, "label_smoothing": smoothing}})
    batch = Batch(LOGITS.reshape(5, 7, 1, 1), LABELS, np.arange(5), ())
    model = nn.Sequential(nn.Flatten(), nn.Linear(7, 7, bias_attr=False))
    model[1].weight.set_value(np.eye(7, dtype=np.float32))  # its logits are the images
    ((found, _, _),) = Passes(config, model).run(batch, 0, 0, 1, lambda _: 1.0)
    target = np.eye(7)[LABELS] * (1 - smoothing) + smoothing / 7
    assert found == pytest.approx(binary(target) if loss == "bce" else expected(LABELS, smoothing), rel=1e-5)
    shares = 1 / (1 + np.exp(-LOGITS.astype(np.float64))) if loss == "bce" else np.exp(log_softmax(LOGITS))
    slope = (shares - target) / (35 if loss == "bce" else 5)
    np.testing.assert_allclose(model[1].weight.grad.numpy(), LOGITS.T @ slope, rtol=1e-3, atol=1e-6)
