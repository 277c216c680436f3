"""ResNet, ResNeXt and SE-ResNet."""

from __future__ import annotations

from deploy.slim.families.stages import named_blocks, stem_of, with_blocks
from deploy.slim.kept import Kept
from ppresnet.spec import BlockSpec, ModelSpec, ResNetSpec


def narrow_resnet(spec: ResNetSpec, kept: Kept) -> ModelSpec:
    """Return the spec with the widths that are kept."""
    stem = "stem.conv.weight" if spec.stem.kind == "cifar" else "stem.conv.conv.weight"
    blocks = {name: _block(name, block, kept) for name, block in named_blocks(spec)}
    return with_blocks(spec, blocks, stem=stem_of(spec, kept.width(stem)))  # type: ignore[no-any-return]


def resnet_blocks(spec: ResNetSpec) -> tuple[str, ...]:
    """Return the blocks that can be dropped."""
    return tuple(name for name, block in named_blocks(spec) if block.skip == "identity")


def _block(name: str, block: BlockSpec, kept: Kept) -> BlockSpec:
    widths = tuple(kept.width(f"{name}.branch.{index}.conv.weight") for index in range(len(block.widths)))
    first = {"basic": 0, "bottleneck": 1}[block.kind]  # the first 3x3 convolution, which has the groups
    groups = block.groups * widths[first] // block.widths[first] if block.groups > 1 else 1
    return block.model_copy(
        update={
            "widths": widths,
            "groups": groups,
            "se": kept.width(f"{name}.se.reduce.weight") if block.se is not None else None,
            "pad_before": kept.pad_before(f"{name}.skip.picks") if block.skip == "zero_pad" else None,
        }
    )
