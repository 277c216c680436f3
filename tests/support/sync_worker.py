"""One of several processes that train with a synchronised BatchNorm: python sync_worker.py IN.npz OUT.npz."""

import os
import sys

import numpy as np
import paddle
from paddle import nn

from ppresnet.layers import SyncBatchNorm2D


def network(norm: type[nn.Layer]) -> nn.Layer:
    """Return two convolutions with a normalisation behind each, always the same."""
    paddle.seed(5)
    layers = [nn.Conv2D(3, 6, 3, padding=1), norm(6), nn.ReLU(), nn.Conv2D(6, 4, 3, stride=2), norm(4)]
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2D):
            for parameter, start in ((layer.weight, 0.5), (layer.bias, -0.3)):
                parameter.set_value(paddle.linspace(start, start + 1, parameter.shape[0]))
    return nn.Sequential(*layers)


def results(net: nn.Layer, images: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return output, statistics, and the gradients of sum(output * weights) after a step in training mode."""
    net.train()
    source = paddle.to_tensor(images, stop_gradient=False)
    output = net(source)
    (output * paddle.to_tensor(weights)).sum().backward()
    found = {"output": output, "images": source.grad}
    found |= {f"{name} grad": tensor.grad for name, tensor in net.named_parameters() if tensor.trainable}
    found |= {name: tensor for name, tensor in net.state_dict().items() if name.endswith(("_mean", "_variance"))}
    return {name: np.asarray(tensor) for name, tensor in found.items()}


if __name__ == "__main__":
    os.environ["PADDLE_DISTRI_BACKEND"] = "gloo"
    paddle.set_device("cpu")
    paddle.distributed.init_parallel_env()
    given = np.load(sys.argv[1])
    np.savez(sys.argv[2], **results(network(SyncBatchNorm2D), given["images"], given["weights"]))
