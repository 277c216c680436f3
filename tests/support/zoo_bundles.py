"""Bundles of the zoo's networks, untrained but with the statistics of training, for the tests of edge boards."""

from pathlib import Path

import bundles
import numpy as np
import paddle
from paddle import nn

from ppresnet.bundle import GOLDEN, LABELS
from ppresnet.export.golden import write_golden
from ppresnet.models import create


def calibrate(net: nn.Layer, size: int) -> None:
    """Give each BatchNorm the statistics of random images, and keep the last of each branch small.

    Otherwise a deep random network is chaotic, and the rounding of one kernel is another answer.
    """
    for layer in net.sublayers():
        if isinstance(layer, nn.BatchNorm2D):
            layer._momentum = 0.0
        promise = getattr(layer, "promise", None)
        if promise is not None and "residual" in promise.pattern and getattr(layer, "norm", None) is not None:
            layer.norm.weight.set_value(layer.norm.weight * 0.2)
    net.train()
    with paddle.no_grad():
        net(paddle.to_tensor(bundles.random_images(8, seed=5, size=size)))
    net.eval()


def zoo_bundle(name: str, directory: Path, size: int, classes: int = 10) -> Path:
    """Write the bundle of a model of the zoo for RGB images of a size, with four golden images."""
    paddle.seed(1)
    net = create(name, num_classes=classes)
    calibrate(net, size)
    bundles.save_programs(net, directory, size=size)
    (directory / LABELS).write_text("".join(f"class {index}\n" for index in range(classes)), encoding="utf-8")
    images = bundles.random_images(4, size=size)
    write_golden(directory / GOLDEN, images, np.concatenate([bundles.logits_of(net, one[None]) for one in images]))
    return bundles.seal(directory, net, preprocess=bundles.PREPROCESS.model_copy(update={"input_size": size}))
