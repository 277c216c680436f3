"""ResNet, Wide ResNet, ResNeXt, SE-ResNet, CIFAR ResNet and the plain networks beside them, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from pydantic import Field

from ppresnet.spec.base import Frozen, ModelSpec, Width

SkipKind = Literal["identity", "projection", "zero_pad", "none"]


class StemSpec(Frozen):
    """The first layers: `imagenet` is a 7x7 stride-2 convolution and a max pool, `cifar` a 3x3 convolution."""

    kind: Literal["imagenet", "cifar"]
    width: int = Field(ge=1)


class BlockSpec(Frozen):
    """One residual block: a branch of convolutions beside a skip.

    `widths` are the output channels of the branch's convolutions, first to last: two for a basic block (3x3, 3x3),
    three for a bottleneck (1x1, 3x3, 1x1). The stride and the groups belong to the first 3x3 convolution. `se` is the
    inner width of a squeeze and excitation behind the branch, if there is one. `pad_before` is how many of the zero
    channels of a zero_pad skip stand before its input; None is half of them.
    """

    kind: Literal["basic", "bottleneck"]
    widths: tuple[Width, ...]
    skip: SkipKind
    stride: int = Field(default=1, ge=1)
    groups: int = Field(default=1, ge=1)
    se: int | None = Field(default=None, ge=1)
    pad_before: int | None = Field(default=None, ge=0)


class ResNetSpec(ModelSpec):
    """A residual network (He et al. 2015, arXiv:1512.03385): stem, stages of blocks, pooled linear head."""

    family: Literal["resnet"] = "resnet"
    stem: StemSpec
    stages: tuple[tuple[BlockSpec, ...], ...] = Field(min_length=1)


def cifar_resnet(name: str, depth: int, skips: bool = True, **overrides: Any) -> ResNetSpec:
    """Return the CIFAR network of He et al., section 4.2: 6n+2 layers, widths 16/32/64, option-A skips or none."""
    stages = []
    width_in = 16
    for width in (16, 32, 64):
        blocks = []
        for index in range((depth - 2) // 6):
            stride = 2 if index == 0 and width != 16 else 1
            skip = ("identity" if width_in == width else "zero_pad") if skips else "none"
            blocks.append(BlockSpec(kind="basic", widths=(width, width), skip=skip, stride=stride))
            width_in = width
        stages.append(tuple(blocks))
    fields: dict[str, Any] = {"num_classes": 10, "input_size": 32} | overrides
    return ResNetSpec(name=name, stem=StemSpec(kind="cifar", width=16), stages=tuple(stages), **fields)


def imagenet_resnet(
    name: str,
    kind: Literal["basic", "bottleneck"],
    depths: tuple[int, ...],
    base: int = 64,
    groups: int = 1,
    se: bool = False,
    **overrides: Any,
) -> ResNetSpec:
    """Return an ImageNet ResNet v1.5 (stride in the 3x3), Wide ResNet, ResNeXt or SE-ResNet.

    Args:
        name: the name in the zoo.
        kind: the block.
        depths: blocks per stage.
        base: width of one group in the first stage (64 for ResNet, 128 for wide_resnet50_2, 4 for 32x4d).
        groups: cardinality of the 3x3 convolutions.
        se: whether blocks end in squeeze and excitation (Hu et al. 2017, arXiv:1709.01507), as wide as in timm.
        **overrides: fields of `ModelSpec`.
    """
    expansion = {"basic": 1, "bottleneck": 4}[kind]
    stages = []
    width_in = 64
    for stage, depth in enumerate(depths):
        planes = 64 * 2**stage
        inner, width = planes * base // 64 * groups, planes * expansion
        blocks = []
        for index in range(depth):
            stride = 2 if index == 0 and stage > 0 else 1
            widths = (inner, inner, width) if kind == "bottleneck" else (inner, width)
            skip: SkipKind = "identity" if (width_in, stride) == (width, 1) else "projection"
            reduced = max(width // 16, 8) if se else None
            blocks.append(BlockSpec(kind=kind, widths=widths, skip=skip, stride=stride, groups=groups, se=reduced))
            width_in = width
        stages.append(tuple(blocks))
    fields: dict[str, Any] = {"num_classes": 1000} | overrides
    return ResNetSpec(name=name, stem=StemSpec(kind="imagenet", width=64), stages=tuple(stages), **fields)


def cifar_resnext29(name: str, groups: int, base: int, **overrides: Any) -> ResNetSpec:
    """Return the CIFAR network of Xie et al. 2016, section 5.3: three stages of three bottlenecks, stem of 64."""
    stages = []
    for stage in range(3):
        inner, width = groups * base * 2**stage, 256 * 2**stage
        blocks = []
        for index in range(3):
            skip, stride = ("projection", 2 if stage else 1) if index == 0 else ("identity", 1)
            blocks.append(
                BlockSpec(kind="bottleneck", widths=(inner, inner, width), skip=skip, stride=stride, groups=groups)
            )
        stages.append(tuple(blocks))
    fields: dict[str, Any] = {"num_classes": 10, "input_size": 32} | overrides
    return ResNetSpec(name=name, stem=StemSpec(kind="cifar", width=64), stages=tuple(stages), **fields)


RESNETS: Mapping[str, Callable[..., ModelSpec]] = {
    "cifar_resnet20": partial(cifar_resnet, depth=20),
    "cifar_resnet32": partial(cifar_resnet, depth=32),
    "cifar_resnet44": partial(cifar_resnet, depth=44),
    "cifar_resnet56": partial(cifar_resnet, depth=56),
    "cifar_resnet110": partial(cifar_resnet, depth=110),
    "cifar_resnet1202": partial(cifar_resnet, depth=1202),
    "cifar_plain20": partial(cifar_resnet, depth=20, skips=False),
    "cifar_plain56": partial(cifar_resnet, depth=56, skips=False),
    "cifar_resnext29_8x64d": partial(cifar_resnext29, groups=8, base=64),
    "cifar_resnext29_16x64d": partial(cifar_resnext29, groups=16, base=64),
    "resnet18": partial(imagenet_resnet, kind="basic", depths=(2, 2, 2, 2)),
    "resnet34": partial(imagenet_resnet, kind="basic", depths=(3, 4, 6, 3)),
    "resnet50": partial(imagenet_resnet, kind="bottleneck", depths=(3, 4, 6, 3)),
    "resnet101": partial(imagenet_resnet, kind="bottleneck", depths=(3, 4, 23, 3)),
    "resnet152": partial(imagenet_resnet, kind="bottleneck", depths=(3, 8, 36, 3)),
    "wide_resnet50_2": partial(imagenet_resnet, kind="bottleneck", depths=(3, 4, 6, 3), base=128),
    "wide_resnet101_2": partial(imagenet_resnet, kind="bottleneck", depths=(3, 4, 23, 3), base=128),
    "resnext50_32x4d": partial(imagenet_resnet, kind="bottleneck", depths=(3, 4, 6, 3), base=4, groups=32),
    "resnext101_32x8d": partial(imagenet_resnet, kind="bottleneck", depths=(3, 4, 23, 3), base=8, groups=32),
    "resnext101_64x4d": partial(imagenet_resnet, kind="bottleneck", depths=(3, 4, 23, 3), base=4, groups=64),
    "seresnet18": partial(imagenet_resnet, kind="basic", depths=(2, 2, 2, 2), se=True),
    "seresnet34": partial(imagenet_resnet, kind="basic", depths=(3, 4, 6, 3), se=True),
    "seresnet50": partial(imagenet_resnet, kind="bottleneck", depths=(3, 4, 6, 3), se=True),
    "seresnet101": partial(imagenet_resnet, kind="bottleneck", depths=(3, 4, 23, 3), se=True),
    "seresnet152": partial(imagenet_resnet, kind="bottleneck", depths=(3, 8, 36, 3), se=True),
    "seresnext50_32x4d": partial(imagenet_resnet, kind="bottleneck", depths=(3, 4, 6, 3), base=4, groups=32, se=True),
}
