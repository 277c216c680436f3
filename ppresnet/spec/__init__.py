"""ModelSpec: an architecture as plain data, and the names in the zoo.

A spec holds every width of every block, so a pruned network is an ordinary model built from a narrower spec.
Nothing here imports Paddle.
"""

from ppresnet.spec.base import Activation, Frozen, ModelSpec, Norm
from ppresnet.spec.resnet import BlockSpec, ResNetSpec, SkipKind, StemSpec
from ppresnet.spec.zoo import FAMILIES, MODELS, OVERRIDES, spec_from_dict, spec_of

__all__ = [
    "FAMILIES",
    "MODELS",
    "OVERRIDES",
    "Activation",
    "BlockSpec",
    "Frozen",
    "ModelSpec",
    "Norm",
    "ResNetSpec",
    "SkipKind",
    "StemSpec",
    "spec_from_dict",
    "spec_of",
]
