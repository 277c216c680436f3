"""What families with a field `stages` share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ppresnet.spec import ModelSpec, StemSpec


def named_blocks(spec: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name of every block in the network, and its spec."""
    for number, stage in enumerate(spec.stages):
        for index, block in enumerate(stage):
            yield f"stages.{number}.{index}", block


def with_blocks(spec: Any, blocks: dict[str, Any], **fields: Any) -> Any:
    """Return the spec with these blocks and no others, in their stages, and other fields changed."""
    stages = tuple(
        tuple(blocks[name] for index in range(len(stage)) if (name := f"stages.{number}.{index}") in blocks)
        for number, stage in enumerate(spec.stages)
    )
    return spec.model_copy(update={"stages": stages, **fields})


def without_blocks(spec: Any, names: frozenset[str]) -> ModelSpec:
    """Return the spec without the named blocks."""
    return with_blocks(spec, {name: block for name, block in named_blocks(spec) if name not in names})  # type: ignore[no-any-return]


def stage_depths(spec: Any) -> dict[str, int]:
    """Return the number of blocks of each stage."""
    return {f"stages.{number}": len(stage) for number, stage in enumerate(spec.stages)}


def stem_of(spec: Any, width: int) -> StemSpec:
    """Return the stem with another width."""
    return StemSpec(kind=spec.stem.kind, width=width)
