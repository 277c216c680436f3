"""ModelSpec: an architecture as plain data, and the names in the zoo.

A spec holds every width of every block, so a pruned network is an ordinary model built from a narrower spec.
Nothing here imports Paddle.
"""

from ppresnet.spec.base import Activation, Frozen, ModelSpec, Norm
from ppresnet.spec.densenet import DenseLayerSpec, DenseNetSpec
from ppresnet.spec.gated import GatedBlockSpec, GatedSpec, HighwayGateSpec, SparseGateSpec
from ppresnet.spec.lcnet import LCNetSpec, SeparableSpec
from ppresnet.spec.ode import AdaptiveSpec, EntrySpec, FixedStepsSpec, ODENetSpec, ODEStageSpec
from ppresnet.spec.preact import PreActBlockSpec, PreActSpec
from ppresnet.spec.resnet import BlockSpec, ResNetSpec, SkipKind, StemSpec
from ppresnet.spec.vit import EncoderBlockSpec, HybridBlockSpec, HybridStemSpec, ViTSpec
from ppresnet.spec.zoo import FAMILIES, MODELS, OVERRIDES, spec_from_dict, spec_of

__all__ = [
    "FAMILIES",
    "MODELS",
    "OVERRIDES",
    "Activation",
    "AdaptiveSpec",
    "BlockSpec",
    "DenseLayerSpec",
    "DenseNetSpec",
    "EncoderBlockSpec",
    "EntrySpec",
    "FixedStepsSpec",
    "Frozen",
    "GatedBlockSpec",
    "GatedSpec",
    "HighwayGateSpec",
    "HybridBlockSpec",
    "HybridStemSpec",
    "LCNetSpec",
    "ModelSpec",
    "Norm",
    "ODENetSpec",
    "ODEStageSpec",
    "PreActBlockSpec",
    "PreActSpec",
    "ResNetSpec",
    "SeparableSpec",
    "SkipKind",
    "SparseGateSpec",
    "StemSpec",
    "ViTSpec",
    "spec_from_dict",
    "spec_of",
]
