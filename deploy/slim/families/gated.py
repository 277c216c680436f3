"""Highway and sparse gated networks."""

from __future__ import annotations

from deploy.slim.families.stages import named_blocks, with_blocks
from deploy.slim.kept import Kept
from ppresnet.spec import ModelSpec
from ppresnet.spec.gated import GatedBlockSpec, GatedSpec


def narrow_gated(spec: GatedSpec, kept: Kept) -> ModelSpec:
    """Return the spec with the widths that are kept."""
    blocks = {name: _block(name, block, kept) for name, block in named_blocks(spec)}
    return with_blocks(spec, blocks, stem=kept.width("stem.conv.weight"))  # type: ignore[no-any-return]


def gated_blocks(spec: GatedSpec) -> tuple[str, ...]:
    """Return the blocks that can be dropped; a gate on the skip makes it another thing than an identity."""
    return tuple(
        name for name, block in named_blocks(spec) if block.skip == "identity" and block.gate.kind == "highway"
    )


def _block(name: str, block: GatedBlockSpec, kept: Kept) -> GatedBlockSpec:
    widths = tuple(kept.width(f"{name}.branch.{index}.conv.weight") for index in range(len(block.widths)))
    pick = f"{name}.skip.picks" if block.gate.kind == "highway" else f"{name}.skip.0.picks"
    return block.model_copy(
        update={"widths": widths, "pad_before": kept.pad_before(pick) if block.skip == "zero_pad" else None}
    )
