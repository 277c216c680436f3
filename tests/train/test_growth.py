"""Progressive resizing: sides epoch by epoch, and what an image becomes."""

import numpy as np
import paddle
import pytest
import rank_worker

from ppresnet.config import TrainConfig, from_dict
from ppresnet.data import Batch
from ppresnet.train.growth import resized, side_of
from ppresnet.train.ranks import ALONE


def test_sides_grow_in_steps_of_four_to_the_full_size() -> None:
    train = TrainConfig(epochs=10, start_size=16, grow_epochs=6)
    assert [side_of(train, 32, epoch) for epoch in range(8)] == [16, 20, 20, 24, 28, 28, 32, 32]
    assert side_of(TrainConfig(), 31, 0) == 31
    assert side_of(TrainConfig(start_size=31, grow_epochs=2), 31, 0) <= 31


def test_the_network_sees_small_images_first() -> None:
    config = from_dict({"train": {"start_size": 4, "grow_epochs": 3}})
    step, _ = rank_worker.step_of(config, ALONE)
    sides: list[int] = []
    step.model.register_forward_pre_hook(lambda _, given: sides.append(given[0].shape[-1]))
    batch = Batch(np.ones((2, 1, 8, 8), np.float32), np.arange(2), np.arange(2), ())
    for epoch in (0, 2, 3):
        step.run([batch], epoch, 0, 0.1)
    assert sides == [4, 8, 8]


def test_images_are_resized_as_by_the_formula() -> None:
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32), (1, 1, 8, 8))
    small = resized(paddle.to_tensor(ramp), 4).numpy()
    assert small.shape == (1, 1, 4, 4)
    assert small[0, 0, 0] == pytest.approx([0.5, 2.5, 4.5, 6.5])
    image = paddle.to_tensor(ramp)
    assert resized(image, 8) is image
