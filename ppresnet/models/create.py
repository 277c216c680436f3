"""From a name or a spec to a network."""

from collections.abc import Callable, Mapping
from typing import Any

from paddle import nn

from ppresnet.errors import ConfigError
from ppresnet.models.densenet import DenseNet
from ppresnet.models.gated import GatedNet
from ppresnet.models.lcnet import LCNet
from ppresnet.models.ode import ODENet
from ppresnet.models.preact import PreActResNet
from ppresnet.models.resnet import ResNet
from ppresnet.models.vit import VisionTransformer
from ppresnet.spec import ModelSpec, spec_of

NETWORKS: Mapping[str, Callable[..., nn.Layer]] = {
    "resnet": ResNet,
    "preact": PreActResNet,
    "vit": VisionTransformer,
    "gated": GatedNet,
    "ode": ODENet,
    "densenet": DenseNet,
    "lcnet": LCNet,
}


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
    model = NETWORKS[spec.family](spec)
    layers = dict(model.named_sublayers()) if spec.norm_groups else {}
    for name, groups in spec.norm_groups:
        _set_groups(layers.get(name), name, groups)
    return model


def _set_groups(layer: nn.Layer | None, name: str, groups: int) -> None:
    if not isinstance(layer, nn.GroupNorm) or groups < 1 or layer._num_channels % groups:
        found = f"a GroupNorm of {layer._num_channels} channels" if isinstance(layer, nn.GroupNorm) else "none"
        raise ConfigError(f"model.norm_groups: expected a GroupNorm '{name}' that {groups} divides, found {found}")
    layer._num_groups = groups
