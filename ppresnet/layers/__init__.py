"""The parts residual networks are made of, one concept a file."""

from ppresnet.layers.activation import ACTIVATIONS, activation
from ppresnet.layers.blocks import BasicBlock, Bottleneck, PlainBlock, Residual, basic_branch, bottleneck_branch
from ppresnet.layers.conv import ConvNorm
from ppresnet.layers.drop_path import DropPath
from ppresnet.layers.norm import NORMS, normalisation
from ppresnet.layers.skips import IdentitySkip, ProjectionSkip, ZeroPadSkip
from ppresnet.layers.stem import CifarStem, ImageNetStem

__all__ = [
    "ACTIVATIONS",
    "NORMS",
    "BasicBlock",
    "Bottleneck",
    "CifarStem",
    "ConvNorm",
    "DropPath",
    "IdentitySkip",
    "ImageNetStem",
    "PlainBlock",
    "ProjectionSkip",
    "Residual",
    "ZeroPadSkip",
    "activation",
    "basic_branch",
    "bottleneck_branch",
    "normalisation",
]
