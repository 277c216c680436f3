"""Pre-activation and wide residual networks."""

from __future__ import annotations

from deploy.slim.families.stages import named_blocks, stem_of, with_blocks
from deploy.slim.kept import Kept
from ppresnet.spec import ModelSpec, PreActBlockSpec, PreActSpec


def narrow_preact(spec: PreActSpec, kept: Kept) -> ModelSpec:
    """Return the spec with the widths that are kept."""
    stem = "stem.conv.weight" if spec.stem.kind == "cifar" else "stem.conv.conv.weight"
    blocks = {name: _block(name, block, kept) for name, block in named_blocks(spec)}
    return with_blocks(spec, blocks, stem=stem_of(spec, kept.width(stem)))  # type: ignore[no-any-return]


def preact_blocks(spec: PreActSpec) -> tuple[str, ...]:
    """Return the blocks that can be dropped; a shared activation is carried by the skip, so it is no identity."""
    return tuple(name for name, block in named_blocks(spec) if block.skip == "identity" and not block.shared)


def _block(name: str, block: PreActBlockSpec, kept: Kept) -> PreActBlockSpec:
    return block.model_copy(
        update={
            "widths": tuple(kept.width(f"{name}.branch.{index}.conv.weight") for index in range(len(block.widths))),
            "pad_before": kept.pad_before(f"{name}.skip.picks") if block.skip == "zero_pad" else None,
        }
    )
