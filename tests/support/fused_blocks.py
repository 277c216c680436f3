"""Residual blocks to run as one operation, and all that such a run gives."""

from collections.abc import Callable

import numpy as np
import paddle
from paddle import nn

from ppresnet.layers import BasicBlock, Bottleneck, Residual

MAKERS: dict[str, Callable[[], Residual]] = {
    "basic, identity": lambda: BasicBlock(16, (16, 16), "identity"),
    "basic, projection": lambda: BasicBlock(16, (24, 32), "projection", stride=2),
    "basic, zero_pad": lambda: BasicBlock(8, (16, 16), "zero_pad", stride=2),
    "basic, odd widths": lambda: BasicBlock(5, (7, 5), "identity"),
    "bottleneck, identity": lambda: Bottleneck(32, (8, 8, 32), "identity"),
    "bottleneck, projection": lambda: Bottleneck(16, (8, 8, 32), "projection", stride=2),
    "bottleneck, groups": lambda: Bottleneck(32, (16, 16, 32), "identity", groups=4),
}


def block_of(make: Callable[[], Residual]) -> Residual:
    paddle.seed(3)
    block = make()
    for norm in (layer for layer in block.sublayers() if isinstance(layer, nn.BatchNorm2D)):
        norm.weight.set_value(paddle.uniform(norm.weight.shape, min=0.5, max=1.5))
        norm.bias.set_value(paddle.uniform(norm.bias.shape, min=-0.5, max=0.5))
    return block


def image_of(block: Residual, batch: int = 3) -> np.ndarray:
    channels = block.branch[0].conv.weight.shape[1] * block.branch[0].conv._groups
    return np.random.default_rng(1).standard_normal((batch, channels, 9, 12)).astype("float32")


def run(
    block: nn.Layer, image: np.ndarray, forward: Callable[[paddle.Tensor], paddle.Tensor | None]
) -> list[np.ndarray]:
    """Output, gradients of the input and of the parameters, running statistics."""
    tensor = paddle.to_tensor(image, stop_gradient=False)
    result = forward(tensor)
    assert result is not None
    gradient = paddle.cos(paddle.arange(result.size, dtype="float32")).reshape(result.shape)
    trained = [one for one in block.parameters() if not one.stop_gradient]
    gradients = paddle.grad(result, [tensor, *trained], gradient.astype(result.dtype))
    norms = [layer for layer in block.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    statistics = [one for norm in norms for one in (norm._mean, norm._variance)]
    return [one.numpy() for one in (result, *gradients, *statistics)]
