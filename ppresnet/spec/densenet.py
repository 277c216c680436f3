"""DenseNet for ImageNet and for CIFAR, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from pydantic import Field, model_validator

from ppresnet.errors import ConfigError
from ppresnet.spec.base import Frozen, ModelSpec
from ppresnet.spec.resnet import StemSpec


class DenseLayerSpec(Frozen):
    """One dense layer: the channels it adds, and the width of the 1x1 convolution in front, where there is one."""

    growth: int = Field(ge=1)
    bottleneck: int | None = Field(default=None, ge=1)


class DenseNetSpec(ModelSpec):
    """A densely connected network (Huang et al. 2016, arXiv:1608.06993): stem, stages of dense layers, linear head.

    `transitions` are the widths of the 1x1 convolutions between the stages, so there is one less than there are stages.
    `dropout` acts on what each dense layer adds.
    """

    family: Literal["densenet"] = "densenet"
    stem: StemSpec
    stages: tuple[tuple[DenseLayerSpec, ...], ...] = Field(min_length=1)
    transitions: tuple[int, ...]

    @model_validator(mode="after")
    def _parts_agree(self) -> DenseNetSpec:
        problems = []
        if len(self.transitions) != len(self.stages) - 1 or min(self.transitions, default=1) < 1:
            problems.append(
                f"model.transitions: expected a width of at least 1 between each two of {len(self.stages)} stages, "
                f"found {list(self.transitions)}"
            )
        if self.zero_init_gamma:
            problems.append(
                f"model.zero_init_gamma: the dense layers of {self.name} end in a convolution, which has no gamma; "
                "leave it false"
            )
        least = 2 ** len(self.transitions)
        least = 4 * least - 3 if self.stem.kind == "imagenet" else least
        if self.input_size < least:
            problems.append(
                f"model.input_size: {self.name} halves an image down to nothing below {least} pixels, "
                f"found {self.input_size}; take larger images or another network"
            )
        if problems:
            raise ConfigError(*problems)
        return self


def imagenet_densenet(name: str, growth: int, depths: tuple[int, ...], width: int, **overrides: Any) -> DenseNetSpec:
    """Return an ImageNet DenseNet-BC: bottlenecks of four times the growth, transitions that halve the channels.

    Args:
        name: the name in the zoo.
        growth: channels that every dense layer adds.
        depths: dense layers per stage.
        width: of the stem.
        **overrides: fields of `ModelSpec`.
    """
    stem = StemSpec(kind="imagenet", width=width)
    return _densenet(name, stem, growth, depths, True, {"num_classes": 1000} | overrides)


def cifar_densenet(name: str, depth: int, growth: int, compressed: bool, **overrides: Any) -> DenseNetSpec:
    """Return the CIFAR network of Huang et al., section 4.2: three stages of equal depth.

    Args:
        name: the name in the zoo.
        depth: layers with weights.
        growth: channels that every dense layer adds.
        compressed: DenseNet-BC; else no bottlenecks, and transitions that keep the channels.
        **overrides: fields of `ModelSpec`.
    """
    layers = (depth - 4) // (6 if compressed else 3)
    stem = StemSpec(kind="cifar", width=2 * growth if compressed else 16)
    fields = {"num_classes": 10, "input_size": 32} | overrides
    return _densenet(name, stem, growth, (layers,) * 3, compressed, fields)


def _densenet(
    name: str, stem: StemSpec, growth: int, depths: tuple[int, ...], compressed: bool, fields: dict[str, Any]
) -> DenseNetSpec:
    layer = DenseLayerSpec(growth=growth, bottleneck=4 * growth if compressed else None)
    channels, transitions = stem.width, []
    for depth in depths[:-1]:
        channels = (channels + depth * growth) // (2 if compressed else 1)
        transitions.append(channels)
    stages = tuple((layer,) * depth for depth in depths)
    return DenseNetSpec(name=name, stem=stem, stages=stages, transitions=tuple(transitions), **fields)


DENSENETS: Mapping[str, Callable[..., ModelSpec]] = {
    "densenet121": partial(imagenet_densenet, growth=32, depths=(6, 12, 24, 16), width=64),
    "densenet161": partial(imagenet_densenet, growth=48, depths=(6, 12, 36, 24), width=96),
    "densenet169": partial(imagenet_densenet, growth=32, depths=(6, 12, 32, 32), width=64),
    "densenet201": partial(imagenet_densenet, growth=32, depths=(6, 12, 48, 32), width=64),
    "cifar_densenet40_12": partial(cifar_densenet, depth=40, growth=12, compressed=False),
    "cifar_densenet_bc100_12": partial(cifar_densenet, depth=100, growth=12, compressed=True),
    "cifar_densenet_bc190_40": partial(cifar_densenet, depth=190, growth=40, compressed=True),
}
