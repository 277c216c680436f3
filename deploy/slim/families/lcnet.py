"""PP-LCNet."""

from __future__ import annotations

from deploy.slim.families.stages import named_blocks, with_blocks
from deploy.slim.kept import Kept
from ppresnet.spec import LCNetSpec, ModelSpec


def narrow_lcnet(spec: LCNetSpec, kept: Kept) -> ModelSpec:
    """Return the spec with the widths that are kept."""
    blocks = {
        name: block.model_copy(
            update={
                "width": kept.width(f"{name}.pointwise.conv.weight"),
                "reduced": kept.width(f"{name}.excite.reduce.weight") if block.reduced is not None else None,
            }
        )
        for name, block in named_blocks(spec)
    }
    return with_blocks(  # type: ignore[no-any-return]
        spec, blocks, stem=kept.width("stem.conv.weight"), hidden=kept.width("head.conv.weight")
    )
