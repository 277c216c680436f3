"""One batch that does not change: twenty steps on it, and the same answer on it from a checkpoint."""

from pathlib import Path

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from ppresnet.checkpoint import Checkpoint, Store, read
from ppresnet.checkpoint.state import model_of, weights_of

IMAGES, STEPS = 8, 20


def batch(model: nn.Layer, size: int) -> tuple[Tensor, Tensor]:
    """Return eight random images that the network takes, and labels in turn."""
    paddle.seed(7)
    images_NCHW = paddle.randn([IMAGES, model.spec.in_channels, size, size])
    return images_NCHW, paddle.arange(IMAGES) % model.spec.num_classes


def losses(model: nn.Layer, size: int, lr: float = 0.05) -> list[float]:
    """Return the loss before each of twenty steps of SGD with momentum, and after the last."""
    images_NCHW, labels = batch(model, size)
    optimizer = paddle.optimizer.Momentum(lr, 0.9, parameters=model.parameters())
    model.train()
    course = []
    for _ in range(STEPS):
        loss = F.cross_entropy(model(images_NCHW), labels)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        course.append(float(loss))
    return [*course, float(F.cross_entropy(model(images_NCHW), labels))]


def saved_and_loaded(model: nn.Layer, folder: Path) -> nn.Layer:
    """Return a second network, in evaluation mode, from a checkpoint of the first."""
    checkpoint = Checkpoint(weights_of(model), {}, {}, model.spec.model_dump(mode="json"), {}, {})
    return model_of(read(Store(folder).save(checkpoint, 1)))


def both_answers(model: nn.Layer, size: int, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits on the batch, in evaluation mode, of the network and of a second one from its checkpoint."""
    images_NCHW, _ = batch(model, size)
    model.eval()
    return model(images_NCHW).numpy(), saved_and_loaded(model, folder)(images_NCHW).numpy()
