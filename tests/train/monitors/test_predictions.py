"""Sheets of images with answers: what they say, what they show, and that the network stays as it was."""

import numpy as np
import paddle
import pytest
from numpy.typing import NDArray
from paddle import nn

from ppresnet.config import from_dict
from ppresnet.data import Samples, open_split, preprocess_of
from ppresnet.models import create
from ppresnet.train.monitors.predictions import CAPTION, TILE, Answer, Predictions, answers, sheet


class Shelf:
    """Keeps pictures in the place of VisualDL."""

    def __init__(self) -> None:
        self.pictures: list[tuple[str, NDArray[np.uint8], int]] = []

    def picture(self, tag: str, image_HWC: NDArray[np.uint8], step: int) -> None:
        self.pictures.append((tag, image_HWC, step))


def test_answers_name_class_share_and_truth() -> None:
    logits = np.log(np.array([[0.25, 0.75], [0.1, 0.9], [0.6, 0.4]], np.float32))
    found = answers(logits, np.array([1, 0, 0]), ("cat", "a dog with a very long name"))
    assert found == [
        Answer("a dog with a v: 75%", True),
        Answer("a dog with a v: 90% (cat)", False),
        Answer("cat: 60%", True),
    ]
    assert answers(logits[:1], np.array([0]), ("猫", "狗")) == [Answer("class 1: 75% (class 0)", False)]
    # 1 / (1 + 1 / 0.75)
    assert answers(logits[:1], np.array([1]), "ab", binary=True) == [Answer("b: 43%", True)]
    assert [one.right for one in answers(logits, np.array([[1, 1], [1, 0], [0, 1]]), "ab")] == [True, False, False]


def test_a_sheet_has_each_image_above_its_answer_in_its_colour() -> None:
    images = np.zeros((10, 4, 4, 1), np.uint8)
    images[3] = 200
    paper = sheet(images, [Answer("yes", True)] * 9 + [Answer("no", False)])
    assert paper.shape == (2 * (TILE + CAPTION), 8 * TILE, 3)
    tiles = paper[:TILE].reshape(TILE, 8, TILE, 3)
    assert (tiles[:, 3] == 200).all() and (tiles[:, 2] == 0).all()
    red, green, _ = paper[-CAPTION:, TILE : 2 * TILE].reshape(-1, 3).mean(0)
    assert red > green + 1
    red, green, _ = paper[-CAPTION:, :TILE].reshape(-1, 3).mean(0)
    assert green > red + 1


@pytest.mark.parametrize("training", [True, False])
def test_images_are_spread_over_the_split_and_the_network_stays(training: bool) -> None:
    config = from_dict({})
    source = open_split(config.data, "val", in_channels=1, num_classes=10)
    samples = Samples(source, preprocess_of(config.data, 1))
    model, shelf = create("cifar_resnet20", in_channels=1, dropout=0.5), Shelf()
    (model.train if training else model.eval)()
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    paddle.seed(5)
    unasked = paddle.rand([4]).numpy()
    paddle.seed(5)
    predictions = Predictions(model, samples, 5, shelf)  # type: ignore[arg-type]
    predictions.on_eval(3)
    predictions.on_eval(6)
    assert model.training is training
    np.testing.assert_array_equal(paddle.rand([4]).numpy(), unasked)  # nothing random was drawn
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])
    (tag, first, step), (_, second, later) = shelf.pictures
    assert (tag, step, later) == ("predictions", 3, 6)
    np.testing.assert_array_equal(first, second)
    last = samples.pixels(0, np.array([len(samples) - 1])).pixels[0]
    tile = first[:TILE, 4 * TILE : 5 * TILE, 0]
    np.testing.assert_array_equal(tile[:: TILE // 8, :: TILE // 8], last[:, :, 0])


def test_a_network_of_a_short_type_shows_the_same_sheet() -> None:
    class Signs(nn.Layer):
        def __init__(self, dtype: str) -> None:
            super().__init__()
            self.dtype = dtype

        def forward(self, images_NCHW: paddle.Tensor) -> paddle.Tensor:
            return (images_NCHW.flatten(1)[:, :10] > 0).astype(self.dtype) - 4.0  # exact in every type

    config = from_dict({})
    samples = Samples(open_split(config.data, "val", in_channels=1, num_classes=10), preprocess_of(config.data, 1))
    shelf = Shelf()
    for step, dtype in enumerate(("float32", "bfloat16")):
        Predictions(Signs(dtype), samples, 5, shelf).on_eval(step)  # type: ignore[arg-type]
    (_, whole, _), (_, short, _) = shelf.pictures
    np.testing.assert_array_equal(short, whole)
