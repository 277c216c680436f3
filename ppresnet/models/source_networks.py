"""Networks of other libraries that are at hand, to compare an import with: those that Paddle itself brings."""

from collections.abc import Callable, Mapping

import numpy as np
import paddle
from paddle import nn
from paddle.vision import models as vision

from ppresnet.spec import ModelSpec, spec_of

PADDLE_VISION: Mapping[str, Callable[..., nn.Layer]] = {
    "resnet18": vision.resnet18,
    "resnet34": vision.resnet34,
    "resnet50": vision.resnet50,
    "resnet101": vision.resnet101,
    "resnet152": vision.resnet152,
    "wide_resnet50_2": vision.wide_resnet50_2,
    "wide_resnet101_2": vision.wide_resnet101_2,
    "resnext50_32x4d": vision.resnext50_32x4d,
    "resnext101_64x4d": vision.resnext101_64x4d,
    "densenet121": vision.densenet121,
    "densenet161": vision.densenet161,
    "densenet169": vision.densenet169,
    "densenet201": vision.densenet201,
}


def source_network(spec: ModelSpec, state: Mapping[str, np.ndarray], source: str) -> nn.Layer | None:
    """Return the source's own network with its own weights, in evaluation mode, or None where it is not at hand.

    Args:
        spec: of our network; one that is not as published has no counterpart.
        state: the foreign names and arrays, all of which fitted.
        source: whose names they are.
    """
    if source != "paddle_vision" or spec.name not in PADDLE_VISION:
        return None
    if spec != spec_of(spec.name, num_classes=spec.num_classes, input_size=spec.input_size):
        return None
    network = PADDLE_VISION[spec.name](num_classes=spec.num_classes)
    network.set_state_dict({name: paddle.to_tensor(array) for name, array in state.items()})
    network.eval()
    return network
