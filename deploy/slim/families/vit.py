"""Vision transformers: heads and MLPs; the tokens have LayerNorm, so their width stays."""

from __future__ import annotations

from deploy.slim.kept import Kept
from ppresnet.spec import ModelSpec
from ppresnet.spec.vit import EncoderBlockSpec, ViTSpec


def narrow_vit(spec: ViTSpec, kept: Kept) -> ModelSpec:
    """Return the spec with the heads and widths that are kept."""
    blocks = tuple(
        EncoderBlockSpec(
            heads=kept.width(f"stages.0.{index}.attn.proj.weight") // block.head_dim,
            head_dim=block.head_dim,
            mlp=kept.width(f"stages.0.{index}.mlp.fc2.weight"),
        )
        for index, block in enumerate(spec.blocks)
    )
    return spec.model_copy(update={"blocks": blocks})


def vit_blocks(spec: ViTSpec) -> tuple[str, ...]:
    """Return the encoder blocks, which can all be dropped."""
    return tuple(f"stages.0.{index}" for index in range(len(spec.blocks)))


def without_vit_blocks(spec: ViTSpec, names: frozenset[str]) -> ModelSpec:
    """Return the spec without the named encoder blocks."""
    blocks = tuple(block for index, block in enumerate(spec.blocks) if f"stages.0.{index}" not in names)
    return spec.model_copy(update={"blocks": blocks})


def vit_depths(spec: ViTSpec) -> dict[str, int]:
    """Return the number of encoder blocks, which are one stage."""
    return {"stages.0": len(spec.blocks)}
