"""CIFAR residual networks whose skips have gates, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from ppresnet.spec.base import Frozen, ModelSpec, Width


class HighwayGateSpec(Frozen):
    """A transform gate: a convolution and a sigmoid; the bias starts negative, so that a block starts as its skip."""

    kind: Literal["highway"] = "highway"
    kernel: Literal[1, 3, 5] = 3
    bias: float = -2.0


class SparseGateSpec(Frozen):
    """A gate on the skip, for each channel or for each pixel of an image, that is zero below the threshold."""

    kind: Literal["sparse"] = "sparse"
    over: Literal["channel", "pixel"] = "channel"
    threshold: float = Field(default=0.5, gt=0.0, lt=1.0)
    bias: float = 1.0


GateSpec = Annotated[HighwayGateSpec | SparseGateSpec, Field(discriminator="kind")]


class GatedBlockSpec(Frozen):
    """Two 3x3 convolutions of these widths beside a gated skip; the stride belongs to the first.

    `pad_before` is as in `BlockSpec`.
    """

    widths: tuple[Width, Width]
    skip: Literal["identity", "projection", "zero_pad"]
    gate: GateSpec
    stride: int = Field(default=1, ge=1)
    pad_before: int | None = Field(default=None, ge=0)


class GatedSpec(ModelSpec):
    """A network for small images: a 3x3 stem, stages of gated blocks, pooled linear head."""

    family: Literal["gated"] = "gated"
    stem: int = Field(ge=1)
    stages: tuple[tuple[GatedBlockSpec, ...], ...] = Field(min_length=1)


def cifar_gated(name: str, depth: int, gate: HighwayGateSpec | SparseGateSpec, **overrides: Any) -> GatedSpec:
    """Return the CIFAR ResNet of `depth` = 6n+2 layers, widths 16/32/64 and option-A skips, with a gate in each block.

    Args:
        name: the name in the zoo.
        depth: layers of the ResNet; those of the gates are not counted.
        gate: of every block.
        **overrides: fields of `ModelSpec`.
    """
    stages = []
    for stage, width in enumerate((16, 32, 64)):
        blocks = []
        for index in range((depth - 2) // 6):
            first = index == 0 and stage > 0
            skip: Literal["identity", "zero_pad"] = "zero_pad" if first else "identity"
            blocks.append(GatedBlockSpec(widths=(width, width), skip=skip, gate=gate, stride=2 if first else 1))
        stages.append(tuple(blocks))
    fields: dict[str, Any] = {"num_classes": 10, "input_size": 32} | overrides
    return GatedSpec(name=name, stem=16, stages=tuple(stages), **fields)


GATED: Mapping[str, Callable[..., ModelSpec]] = {
    "cifar_highway20": partial(cifar_gated, depth=20, gate=HighwayGateSpec()),
    "cifar_sparse_gated20": partial(cifar_gated, depth=20, gate=SparseGateSpec()),
}
