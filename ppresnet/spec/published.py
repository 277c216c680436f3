"""Where each architecture of the zoo was published, and what accuracy was reported for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Accuracy(NamedTuple):
    """A reported result: top-1 in percent, on which data, and who reports it with which training."""

    top1: float
    data: str
    source: str


class Published(NamedTuple):
    """The paper of an architecture, by its arXiv number, and results that were reported for it."""

    paper: str
    accuracies: tuple[Accuracy, ...] = ()


RESNET, PREACT, WIDE, RESNEXT = "arXiv:1512.03385", "arXiv:1603.05027", "arXiv:1605.07146", "arXiv:1611.05431"
SE, DENSE, VIT, LCNET = "arXiv:1709.01507", "arXiv:1608.06993", "arXiv:2010.11929", "arXiv:2109.15099"
HIGHWAY, STRAIGHT_THROUGH, ODE = "arXiv:1505.00387", "arXiv:1308.3432", "arXiv:1806.07366"


def _cifar10(error: float, paper: str) -> Published:
    """Return what the paper itself reports, as an error."""
    return Published(paper, (Accuracy(round(100 - error, 2), "CIFAR-10", paper),))


def _imagenet(paper: str, **reports: float) -> Published:
    """Return results on ImageNet by the name of a source in `SOURCES`."""
    return Published(paper, tuple(Accuracy(top1, "ImageNet", SOURCES[name]) for name, top1 in reports.items()))


SOURCES: Mapping[str, str] = {
    "paddleclas": "PaddleClas",
    "timm": "timm, ImageNet alone",
    "timm_a1": "timm, A1 recipe (arXiv:2110.00476)",
    "timm_a1h_288": "timm, A1H recipe, at 288 pixels",
    "timm_21k": "timm, pretrained on ImageNet-21k",
    "torchvision": "torchvision, IMAGENET1K_V1",
    "torchvision_new": "torchvision, IMAGENET1K_V1, by its new recipe",
    "senet": "the authors' weights, arXiv:1709.01507",
    "densenet": "the authors' weights, arXiv:1608.06993",
}

# The papers' tables: ResNet 6 (110 layers: the best of five runs, their mean error is 6.61), pre-activation 3
# (median of five), Wide ResNet 5 (median of five, no dropout), ResNeXt 7 (mean of ten), DenseNet 2. torchvision: the
# field `acc@1` of the weights in its models/resnet.py and models/densenet.py.
PUBLISHED: Mapping[str, Published] = {
    "cifar_resnet20": _cifar10(8.75, RESNET),
    "cifar_resnet32": _cifar10(7.51, RESNET),
    "cifar_resnet44": _cifar10(7.17, RESNET),
    "cifar_resnet56": _cifar10(6.97, RESNET),
    "cifar_resnet110": _cifar10(6.43, RESNET),
    "cifar_resnet1202": _cifar10(7.93, RESNET),
    "cifar_plain20": Published(RESNET),
    "cifar_plain56": Published(RESNET),
    "cifar_resnext29_8x64d": _cifar10(3.65, RESNEXT),
    "cifar_resnext29_16x64d": _cifar10(3.58, RESNEXT),
    "resnet18": _imagenet(RESNET, paddleclas=70.98, timm_a1=71.5, torchvision=69.758),
    "resnet34": _imagenet(RESNET, paddleclas=74.57, timm_a1=76.4, torchvision=73.314),
    "resnet50": _imagenet(RESNET, paddleclas=76.50, timm_a1=80.4, torchvision=76.130),
    "resnet101": _imagenet(RESNET, paddleclas=77.6, torchvision=77.374),
    "resnet152": _imagenet(RESNET, paddleclas=78.3, torchvision=78.312),
    "wide_resnet50_2": _imagenet(WIDE, torchvision=78.468),
    "wide_resnet101_2": _imagenet(WIDE, torchvision=78.848),
    "resnext50_32x4d": _imagenet(RESNEXT, torchvision=77.618),
    "resnext101_32x8d": _imagenet(RESNEXT, torchvision=79.312),
    "resnext101_64x4d": _imagenet(RESNEXT, torchvision_new=83.246),
    "seresnet18": Published(SE),
    "seresnet34": Published(SE),
    "seresnet50": _imagenet(SE, senet=77.63),
    "seresnet101": _imagenet(SE, senet=78.25),
    "seresnet152": _imagenet(SE, senet=78.66),
    "seresnext50_32x4d": _imagenet(SE, senet=79.03),
    "cifar_preact_resnet110": _cifar10(6.37, PREACT),
    "cifar_preact_resnet164": _cifar10(5.46, PREACT),
    "cifar_preact_resnet1001": _cifar10(4.92, PREACT),
    "cifar_wrn16_8": _cifar10(4.27, WIDE),
    "cifar_wrn28_10": _cifar10(4.00, WIDE),
    "resnetv2_50": _imagenet(PREACT, timm_a1h_288=81.398),
    "resnetv2_101": Published(PREACT),
    "resnetv2_152": Published(PREACT),
    "cifar_highway20": Published(HIGHWAY),
    "cifar_sparse_gated20": Published(STRAIGHT_THROUGH),
    "cifar_odenet": Published(ODE),
    "cifar_odenet_dopri5": Published(ODE),
    "vit_tiny_patch16_224": _imagenet(VIT, timm_21k=75.454),
    "vit_small_patch16_224": _imagenet(VIT, timm_21k=81.384, timm=78.846),
    "vit_base_patch16_224": _imagenet(VIT, timm_21k=81.786, timm=79.154),
    "vit_tiny_r_s16_p8_224": _imagenet(VIT, timm_21k=71.798),
    "vit_small_r26_s32_224": _imagenet(VIT, timm_21k=81.864),
    "densenet121": _imagenet(DENSE, densenet=75.0, torchvision=74.434),
    "densenet161": _imagenet(DENSE, densenet=77.8, torchvision=77.138),
    "densenet169": _imagenet(DENSE, densenet=76.4, torchvision=75.600),
    "densenet201": _imagenet(DENSE, densenet=77.5, torchvision=76.896),
    "cifar_densenet40_12": _cifar10(5.24, DENSE),
    "cifar_densenet_bc100_12": _cifar10(4.51, DENSE),
    "cifar_densenet_bc190_40": _cifar10(3.46, DENSE),
    "lcnet_025": _imagenet(LCNET, paddleclas=51.86),
    "lcnet_035": _imagenet(LCNET, paddleclas=58.09),
    "lcnet_050": _imagenet(LCNET, paddleclas=63.14),
    "lcnet_075": _imagenet(LCNET, paddleclas=68.18),
    "lcnet_100": _imagenet(LCNET, paddleclas=71.32),
    "lcnet_150": _imagenet(LCNET, paddleclas=73.71),
    "lcnet_200": _imagenet(LCNET, paddleclas=75.18),
    "lcnet_250": _imagenet(LCNET, paddleclas=76.60),
}
