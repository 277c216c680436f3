"""From a name or a spec to a network."""

from collections.abc import Callable, Mapping
from typing import Any

from paddle import nn

from ppresnet.models.resnet import ResNet
from ppresnet.spec import ModelSpec, spec_of

NETWORKS: Mapping[str, Callable[..., nn.Layer]] = {"resnet": ResNet}


def create(name: str, **spec_overrides: Any) -> nn.Layer:
    """Return a new network of the zoo, randomly initialised.

    Args:
        name: a name that `tools/zoo.py` lists, such as `resnet50`.
        **spec_overrides: fields of `ppresnet.spec.ModelSpec`, such as `num_classes=10` or `act="silu"`.

    Raises:
        ConfigError: the name or a field is unknown, or parts do not fit together.
    """
    return build(spec_of(name, **spec_overrides))


def build(spec: ModelSpec) -> nn.Layer:
    """Return a new network of this spec, randomly initialised.

    Raises:
        ConfigError: parts of the spec do not fit together.
    """
    return NETWORKS[spec.family](spec)
