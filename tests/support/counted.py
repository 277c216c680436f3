"""Parameters and multiply-accumulates of a built network, counted by running it."""

import numpy as np
import paddle
from paddle import nn


def counted(model: nn.Layer, height: int, width: int) -> tuple[int, int]:
    """Return the trained parameters, and the MACs of convolution and linear layers for one image."""
    macs = 0

    def count(layer: nn.Layer, _: object, output: paddle.Tensor) -> None:
        nonlocal macs
        if isinstance(layer, nn.Conv2D):
            macs += int(np.prod(layer.weight.shape[1:])) * output.size
        else:
            macs += layer.weight.shape[0] * output.size

    hooks = [
        layer.register_forward_post_hook(count)
        for layer in model.sublayers()
        if isinstance(layer, nn.Conv2D | nn.Linear)
    ]
    model.eval()
    with paddle.no_grad():
        model(paddle.zeros([1, model.spec.in_channels, height, width]))
    for hook in hooks:
        hook.remove()
    return sum(int(parameter.size) for parameter in model.parameters() if parameter.trainable), macs
