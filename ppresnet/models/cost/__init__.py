"""Parameters and MACs of a spec, by arithmetic alone.

The convention: MACs are the multiply-accumulates of convolution and linear layers for one image; biases,
normalisation, activation, pooling, additions and the products inside attention are not counted. Parameters are the
trained ones, so running statistics are not counted.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ppresnet.models.cost.count import Cost
from ppresnet.models.cost.densenet import densenet
from ppresnet.models.cost.gated import gated
from ppresnet.models.cost.lcnet import lcnet
from ppresnet.models.cost.ode import ode
from ppresnet.models.cost.preact import preact
from ppresnet.models.cost.resnet import resnet
from ppresnet.models.cost.vit import vit
from ppresnet.spec import ModelSpec

__all__ = ["Cost", "cost"]

COSTS: Mapping[str, Callable[[Any, int], Cost]] = {
    "resnet": resnet,
    "preact": preact,
    "vit": vit,
    "gated": gated,
    "ode": ode,
    "densenet": densenet,
    "lcnet": lcnet,
}


def cost(spec: ModelSpec, input_size: int | None = None) -> Cost:
    """Return the cost of a network.

    Args:
        spec: the architecture.
        input_size: side of the square image in pixels; the spec's own where None.

    Raises:
        KeyError: the family has no cost model.
    """
    return COSTS[spec.family](spec, input_size or spec.input_size)
