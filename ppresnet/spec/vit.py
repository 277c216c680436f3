"""Vision transformers, alone and behind a ResNet stem, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from typing import Any, Literal

from pydantic import Field, model_validator

from ppresnet.errors import ConfigError
from ppresnet.spec.base import Activation, Frozen, ModelSpec, Norm, Width


class EncoderBlockSpec(Frozen):
    """One encoder block: `heads` of `head_dim` channels for each of query, key and value, and the width of the MLP."""

    heads: int = Field(ge=1)
    head_dim: int = Field(ge=1)
    mlp: int = Field(ge=1)


class HybridBlockSpec(Frozen):
    """One bottleneck block of the ResNet stem: the output channels of its convolutions, 1x1, 3x3 and 1x1."""

    widths: tuple[Width, Width, Width]
    skip: Literal["identity", "projection"]
    stride: int = Field(default=1, ge=1)


class HybridStemSpec(Frozen):
    """What stands before the patches in a hybrid: a stem at a quarter of the resolution, and stages of blocks."""

    width: int = Field(ge=1)
    stages: tuple[tuple[HybridBlockSpec, ...], ...] = ()
    act: Activation = "relu"

    @property
    def channels(self) -> int:
        """Channels of the map that it gives."""
        return [self.width, *(block.widths[-1] for stage in self.stages for block in stage)][-1]

    @property
    def stride(self) -> int:
        """Pixels of the image for one pixel of the map that it gives."""
        return 4 * prod(block.stride for stage in self.stages for block in stage)


class ViTSpec(ModelSpec):
    """A vision transformer (Dosovitskiy et al. 2020, arXiv:2010.11929).

    `norm` is that of the convolutions of the ResNet stem; tokens have LayerNorm over their channels in any case.
    `patch` counts pixels of the map that is cut into patches: of the image, or of what the ResNet stem gives.
    """

    family: Literal["vit"] = "vit"
    act: Activation = "gelu"
    norm: Norm = "layer"
    patch: int = Field(ge=1)
    width: int = Field(ge=1)
    blocks: tuple[EncoderBlockSpec, ...] = Field(min_length=1)
    stem: HybridStemSpec | None = None

    @property
    def stride(self) -> int:
        """Pixels of the image for one token, along one side."""
        return self.patch * (self.stem.stride if self.stem is not None else 1)

    @property
    def grid(self) -> int:
        """Tokens along one side of an image."""
        return self.input_size // self.stride

    @model_validator(mode="after")
    def _parts_agree(self) -> ViTSpec:
        problems = []
        if self.stem is None and self.norm != "layer":
            problems.append(
                f"model.norm: {self.name} has no normalisation but LayerNorm; expected layer, found {self.norm}"
            )
        if self.zero_init_gamma:
            problems.append(
                f"model.zero_init_gamma: the branches of {self.name} end in a linear layer, which has no gamma; "
                "leave it false"
            )
        if self.input_size % self.stride:
            problems.append(
                f"model.input_size: expected a multiple of {self.stride} pixels, the patch of {self.name}, "
                f"found {self.input_size}"
            )
        if problems:
            raise ConfigError(*problems)
        return self


def vit(
    name: str, patch: int, width: int, heads: int, depth: int = 12, mlp_ratio: int = 4, **overrides: Any
) -> ViTSpec:
    """Return a vision transformer of equal blocks, as timm has it.

    Args:
        name: the name in the zoo.
        patch: side of a patch, in pixels of the image or of the stem's map.
        width: channels of a token.
        heads: attention heads of a block; they share the width.
        depth: blocks.
        mlp_ratio: width of the MLP in widths of a token.
        **overrides: fields of `ModelSpec`, and `stem`.
    """
    block = EncoderBlockSpec(heads=heads, head_dim=width // heads, mlp=mlp_ratio * width)
    fields: dict[str, Any] = {"num_classes": 1000, "input_size": 224} | overrides
    return ViTSpec(name=name, patch=patch, width=width, blocks=(block,) * depth, **fields)


def hybrid(name: str, depths: tuple[int, ...], **fields: Any) -> ViTSpec:
    """Return a vision transformer behind a ResNet stem with `depths` blocks per stage; GroupNorm in its convolutions.

    The other arguments are those of `vit`.
    """
    stages = []
    for stage, depth in enumerate(depths):
        planes = 64 * 2**stage
        blocks = []
        for index in range(depth):
            stride = 2 if index == 0 and stage > 0 else 1
            skip: Literal["identity", "projection"] = "projection" if index == 0 else "identity"
            blocks.append(HybridBlockSpec(widths=(planes, planes, 4 * planes), skip=skip, stride=stride))
        stages.append(tuple(blocks))
    return vit(name, stem=HybridStemSpec(width=64, stages=tuple(stages)), **{"norm": "group"} | fields)


VITS: Mapping[str, Callable[..., ModelSpec]] = {
    "vit_tiny_patch16_224": partial(vit, patch=16, width=192, heads=3),
    "vit_small_patch16_224": partial(vit, patch=16, width=384, heads=6),
    "vit_base_patch16_224": partial(vit, patch=16, width=768, heads=12),
    "vit_tiny_r_s16_p8_224": partial(hybrid, depths=(), patch=8, width=192, heads=3),
    "vit_small_r26_s32_224": partial(hybrid, depths=(2, 2, 2, 2), patch=1, width=384, heads=6),
}
