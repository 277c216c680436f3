"""Training with rounded values keeps to the recipe; the rounding itself is PaddleSlim's."""

from typing import Any

import numpy as np
import paddle
from paddle import nn

from deploy.slim.int8.qat_worker import train
from ppresnet.config import from_dict


class Linear(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10, weight_attr=nn.initializer.Constant(0.01))

    def forward(self, image_NCHW: paddle.Tensor) -> paddle.Tensor:
        return self.head(image_NCHW.flatten(1))


def learned(**sections: Any) -> np.ndarray:
    """How far one step of plain gradient descent at rate 1 moved the weights."""
    plain = {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0, **sections.pop("optim", {})}
    model = Linear()
    train(model, from_dict({"train": {"batch_size": 1024, **sections.pop("train", {})}, "optim": plain}), 1, 1.0)
    return model.head.weight.numpy() - np.float32(0.01)


def test_gradients_are_clipped_as_the_recipe_says() -> None:
    free, clipped = learned(), learned(optim={"clip_norm": 1e-3})
    moved = np.linalg.norm(clipped)
    assert np.linalg.norm(free) > 0.1
    assert 0 < moved <= 1.01e-3


def test_the_loss_is_that_of_the_recipe() -> None:
    # With equal logits the gradient of cross-entropy is (1/10 - t) x, that of bce (sigmoid(z) - t) x / 10.
    one, other = learned(), learned(train={"loss": "bce"})
    assert np.abs(one.sum(axis=1)).max() < 1e-4
    assert np.abs(other.sum(axis=1)).max() > 1e-2


def test_fewer_images_than_a_batch_are_a_batch() -> None:
    assert np.linalg.norm(learned(train={"batch_size": 4096})) > 0.1
