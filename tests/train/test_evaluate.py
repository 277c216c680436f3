"""Evaluation of a split with several views of each image, against numpy in float64."""

import numpy as np
import paddle
import pytest
from paddle import nn

from ppresnet.config import RunConfig, from_dict
from ppresnet.data import Samples, open_split, preprocess_of
from ppresnet.data.views import CornerSamples
from ppresnet.errors import ConfigError, RequestError
from ppresnet.train.evaluate import evaluate_split
from ppresnet.train.metrics import Evaluation


def recipe(loss: str = "cross_entropy", **data: object) -> RunConfig:
    return from_dict({"data": data, "train": {"batch_size": 100, "loss": loss}})


@pytest.fixture(scope="module")
def model() -> nn.Layer:
    paddle.seed(0)
    network = nn.Sequential(nn.Conv2D(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    network[3].weight.set_value(5 * network[3].weight)  # certain of something
    network.eval()
    return network


def logits_of(model: nn.Layer, images_NCHW: np.ndarray) -> np.ndarray:
    with paddle.no_grad():
        return model(paddle.to_tensor(np.ascontiguousarray(images_NCHW))).numpy().astype(np.float64)


def views_of(config: RunConfig, views: str) -> tuple[list[np.ndarray], np.ndarray]:
    source = open_split(config.data, "val", in_channels=1, num_classes=10)
    preprocess, every = preprocess_of(config.data, 1), np.arange(len(source))
    if views == "flip":
        images = [Samples(source, preprocess).load(0, every).images]
    else:
        images = list(CornerSamples(source, preprocess).load(0, every).images.swapaxes(0, 1))
    mirrored = [] if views == "five_crop" else [view[..., ::-1] for view in images]
    return images + mirrored, source.labels


@pytest.mark.parametrize(("views", "count"), [("flip", 2), ("five_crop", 5), ("ten_crop", 10)])
def test_probabilities_of_the_views_are_averaged(model: nn.Layer, views: str, count: int) -> None:
    config = recipe(resize=9)
    images, labels = views_of(config, views)
    assert len(images) == count
    logits = [logits_of(model, view) for view in images]
    each = [np.exp(one - one.max(axis=1, keepdims=True)) for one in logits]
    shares = np.mean([one / one.sum(axis=1, keepdims=True) for one in each], axis=0)
    found = evaluate_split(model, config, views)
    assert isinstance(found, Evaluation)
    assert found.top1 == pytest.approx(100 * (shares.argmax(axis=1) == labels).mean())
    assert found.loss == pytest.approx(-np.log(shares[np.arange(len(labels)), labels]).mean(), rel=1e-4)
    assert found.loss != evaluate_split(model, config).loss


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_loss_and_calibration_are_those_of_the_recipes_loss(model: nn.Layer, loss: str) -> None:
    config = recipe(loss)
    (images, _), labels = views_of(config, "flip")
    logits = logits_of(model, images)
    if loss == "bce":
        shares, target = 1 / (1 + np.exp(-logits)), np.eye(10)[labels]
        wanted = -(target * np.log(shares) + (1 - target) * np.log1p(-shares)).mean()
    else:
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        wanted = -np.log(shares[np.arange(len(labels)), labels]).mean()
    right, bins = shares.argmax(axis=1) == labels, np.ceil(shares.max(axis=1) * 15)
    gaps = [abs((right - shares.max(axis=1))[bins == m].sum()) for m in range(1, 16)]
    found = evaluate_split(model, config)
    assert isinstance(found, Evaluation)
    assert found.loss == pytest.approx(wanted, rel=1e-4)
    assert found.calibration.ece == pytest.approx(100 * sum(gaps) / len(labels), rel=1e-4)
    assert found.calibration.images.tolist() == [(bins == m).sum() for m in range(1, 16)]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_logits_of_a_short_type_are_counted_right(model: nn.Layer, dtype: str) -> None:
    class Short(nn.Layer):
        def forward(self, images_NCHW: paddle.Tensor) -> paddle.Tensor:
            return model(images_NCHW).astype(dtype)

    config = recipe()
    (images, _), labels = views_of(config, "flip")
    rounded = model(paddle.to_tensor(images)).astype(dtype).astype("float32").numpy().astype(np.float64)
    wanted = -rounded[np.arange(len(labels)), labels] + np.log(np.exp(rounded).sum(axis=1))
    found = evaluate_split(Short(), config)
    assert isinstance(found, Evaluation)
    assert found.top1 == pytest.approx(100 * (rounded.argmax(axis=1) == labels).mean())
    assert found.loss == pytest.approx(wanted.mean(), rel=1e-5)


def test_the_numbers_do_not_depend_on_the_batch_size_beyond_rounding(model: nn.Layer) -> None:
    one = evaluate_split(model, recipe())
    config = recipe()
    other = evaluate_split(
        model, config.model_copy(update={"train": config.train.model_copy(update={"batch_size": 7})})
    )
    assert isinstance(one, Evaluation) and isinstance(other, Evaluation)
    assert (one.confusion == other.confusion).all()
    assert one.calibration.ece == pytest.approx(other.calibration.ece, rel=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_an_evaluation_that_fails_leaves_the_mode_as_it_was(
    model: nn.Layer, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        assert not model.training
        raise RequestError("no more")

    monkeypatch.setattr("ppresnet.train.evaluate.summed_cross_entropy", fail)
    (model.train if training else model.eval)()
    try:
        with pytest.raises(RequestError, match="no more"):
            evaluate_split(model, recipe())
        assert [layer.training for layer in model.sublayers(include_self=True)] == [training] * 5
    finally:
        model.eval()


def test_there_must_be_corners_to_crop(model: nn.Layer) -> None:
    with pytest.raises(ConfigError, match=r"need data\.resize above data\.input_size, which is 8; found null"):
        evaluate_split(model, recipe(), "ten_crop")
