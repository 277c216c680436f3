"""The names that other libraries give to the tensors of our networks: one file a family."""

from collections.abc import Mapping

from ppresnet.models.names.convention import Convention, Names
from ppresnet.models.names.resnet import RESNET

__all__ = ["NAMES", "SOURCES", "Convention"]

SOURCES = ("torchvision", "timm", "paddle_vision", "paddleclas", "pytorch_cifar")
NAMES: Mapping[str, Names] = {"resnet": RESNET}
