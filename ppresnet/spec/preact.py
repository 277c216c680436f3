"""Pre-activation ResNet and the wide residual networks built the same way, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from pydantic import Field

from ppresnet.spec.base import Frozen, ModelSpec, Width
from ppresnet.spec.resnet import StemSpec

BlockKind = Literal["basic", "bottleneck"]


class PreActBlockSpec(Frozen):
    """One residual block whose normalisations and activations stand before its convolutions.

    `widths` are the output channels of the branch's convolutions, first to last, as in `BlockSpec`. `strided` is the
    convolution that has the stride, counted from zero. Where `shared` is set, the first activation comes before the
    fork, so that the skip carries it too; elsewhere the skip carries the input itself. `pad_before` is that of
    `BlockSpec`.
    """

    kind: BlockKind
    widths: tuple[Width, ...]
    skip: Literal["identity", "projection", "zero_pad"]
    stride: int = Field(default=1, ge=1)
    strided: int = Field(default=0, ge=0)
    shared: bool = False
    pad_before: int | None = Field(default=None, ge=0)


class PreActSpec(ModelSpec):
    """A pre-activation network (He et al. 2016, arXiv:1603.05027): bare stem, stages, last activation, linear head.

    `dropout_at` says where `dropout` acts: before the classifier, or in every branch before its last convolution.
    """

    family: Literal["preact"] = "preact"
    stem: StemSpec
    stages: tuple[tuple[PreActBlockSpec, ...], ...] = Field(min_length=1)
    dropout_at: Literal["head", "branch"] = "head"


def cifar_preact_resnet(name: str, depth: int, kind: BlockKind, **overrides: Any) -> PreActSpec:
    """Return the CIFAR network of He et al. 2016: 6n+2 layers of basic blocks or 9n+2 of bottlenecks.

    Bottlenecks have the stride in their first convolution and project where the shape changes; basic blocks have the
    option-A skips of He et al. 2015.
    """
    bottleneck = kind == "bottleneck"
    blocks = (depth - 2) // (9 if bottleneck else 6)
    widths = (64, 128, 256) if bottleneck else (16, 32, 64)
    stages = _stages(kind, 16, widths, (blocks,) * 3, "projection" if bottleneck else "zero_pad")
    return _cifar(name, stages, overrides)


def cifar_wide_resnet(name: str, depth: int, factor: int, **overrides: Any) -> PreActSpec:
    """Return WRN-depth-factor (Zagoruyko and Komodakis 2016, arXiv:1605.07146), whose dropout acts in the branches."""
    widths = (16 * factor, 32 * factor, 64 * factor)
    stages = _stages("basic", 16, widths, ((depth - 4) // 6,) * 3, "projection")
    return _cifar(name, stages, {"dropout_at": "branch"} | overrides)


def imagenet_preact_resnet(name: str, depths: tuple[int, ...], **overrides: Any) -> PreActSpec:
    """Return a pre-activation ImageNet ResNet of bottlenecks with the stride in the 3x3, as timm's `resnetv2_50`."""
    widths = tuple(256 * 2**stage for stage in range(len(depths)))
    stages = _stages("bottleneck", 64, widths, depths, "projection", strided=1)
    fields: dict[str, Any] = {"num_classes": 1000} | overrides
    return PreActSpec(name=name, stem=StemSpec(kind="imagenet", width=64), stages=stages, **fields)


def _cifar(name: str, stages: tuple[tuple[PreActBlockSpec, ...], ...], overrides: dict[str, Any]) -> PreActSpec:
    fields: dict[str, Any] = {"num_classes": 10, "input_size": 32} | overrides
    return PreActSpec(name=name, stem=StemSpec(kind="cifar", width=16), stages=stages, **fields)


def _stages(
    kind: BlockKind,
    width_in: int,
    widths: tuple[int, ...],
    depths: tuple[int, ...],
    widening: Literal["projection", "zero_pad"],
    strided: int = 0,
) -> tuple[tuple[PreActBlockSpec, ...], ...]:
    stages = []
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        blocks = []
        for index in range(depth):
            stride = 2 if index == 0 and stage > 0 else 1
            blocks.append(
                PreActBlockSpec(
                    kind=kind,
                    widths=(width // 4, width // 4, width) if kind == "bottleneck" else (width, width),
                    skip="identity" if (width_in, stride) == (width, 1) else widening,
                    stride=stride,
                    strided=strided,
                    shared=index == 0,
                )
            )
            width_in = width
        stages.append(tuple(blocks))
    return tuple(stages)


PREACTS: Mapping[str, Callable[..., ModelSpec]] = {
    "cifar_preact_resnet110": partial(cifar_preact_resnet, depth=110, kind="basic"),
    "cifar_preact_resnet164": partial(cifar_preact_resnet, depth=164, kind="bottleneck"),
    "cifar_preact_resnet1001": partial(cifar_preact_resnet, depth=1001, kind="bottleneck"),
    "cifar_wrn16_8": partial(cifar_wide_resnet, depth=16, factor=8),
    "cifar_wrn28_10": partial(cifar_wide_resnet, depth=28, factor=10),
    "resnetv2_50": partial(imagenet_preact_resnet, depths=(3, 4, 6, 3)),
    "resnetv2_101": partial(imagenet_preact_resnet, depths=(3, 4, 23, 3)),
    "resnetv2_152": partial(imagenet_preact_resnet, depths=(3, 8, 36, 3)),
}
