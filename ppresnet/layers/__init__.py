"""The parts residual networks are made of, one concept a file."""

from ppresnet.layers.activation import ACTIVATIONS, Sigmoid, activation
from ppresnet.layers.blocks import BasicBlock, Bottleneck, PlainBlock, Residual, basic_branch, bottleneck_branch
from ppresnet.layers.conv import ConvNorm
from ppresnet.layers.dense import DenseLayer, DenseSkip, Transition
from ppresnet.layers.depthwise import DepthwiseSeparable
from ppresnet.layers.drop_path import DropPath
from ppresnet.layers.head import Head
from ppresnet.layers.norm import NORMS, normalisation
from ppresnet.layers.preact import BareConv, NormAct, PreActResidual
from ppresnet.layers.pyramid import Level
from ppresnet.layers.skips import IdentitySkip, ProjectionSkip, ZeroPadSkip
from ppresnet.layers.squeeze_excite import SqueezeExcite
from ppresnet.layers.stage import Stage
from ppresnet.layers.stem import CifarStem, ImageNetStem
from ppresnet.layers.sync_batch_norm import SyncBatchNorm2D

__all__ = [
    "ACTIVATIONS",
    "NORMS",
    "BareConv",
    "BasicBlock",
    "Bottleneck",
    "CifarStem",
    "ConvNorm",
    "DenseLayer",
    "DenseSkip",
    "DepthwiseSeparable",
    "DropPath",
    "Head",
    "IdentitySkip",
    "ImageNetStem",
    "Level",
    "NormAct",
    "PlainBlock",
    "PreActResidual",
    "ProjectionSkip",
    "Residual",
    "Sigmoid",
    "SqueezeExcite",
    "Stage",
    "SyncBatchNorm2D",
    "Transition",
    "ZeroPadSkip",
    "activation",
    "basic_branch",
    "bottleneck_branch",
    "normalisation",
]
