"""Progressive resizing: sides epoch by epoch, and what an image becomes."""

import numpy as np
import paddle
import pytest

from ppresnet.config import TrainConfig
from ppresnet.train.growth import resized, side_of


def test_sides_grow_in_steps_of_four_to_the_full_size() -> None:
    train = TrainConfig(epochs=10, start_size=16, grow_epochs=6)
    assert [side_of(train, 32, epoch) for epoch in range(8)] == [16, 20, 20, 24, 28, 28, 32, 32]
    assert side_of(TrainConfig(), 31, 0) == 31
    assert side_of(TrainConfig(start_size=31, grow_epochs=2), 31, 0) <= 31


def test_images_are_resized_as_by_the_formula() -> None:
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32), (1, 1, 8, 8))
    small = resized(paddle.to_tensor(ramp), 4).numpy()
    assert small.shape == (1, 1, 4, 4)
    assert small[0, 0, 0] == pytest.approx([0.5, 2.5, 4.5, 6.5])
    image = paddle.to_tensor(ramp)
    assert resized(image, 8) is image
