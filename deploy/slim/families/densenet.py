"""DenseNet."""

from __future__ import annotations

from deploy.slim.families.stages import named_blocks, stem_of, with_blocks
from deploy.slim.kept import Kept
from ppresnet.spec import DenseLayerSpec, DenseNetSpec, ModelSpec


def narrow_densenet(spec: DenseNetSpec, kept: Kept) -> ModelSpec:
    """Return the spec with the widths that are kept."""
    stem = "stem.conv.weight" if spec.stem.kind == "cifar" else "stem.conv.conv.weight"
    layers = {
        name: DenseLayerSpec(
            growth=kept.width(f"{name}.grow.conv.weight"),
            bottleneck=kept.width(f"{name}.reduce.conv.weight") if layer.bottleneck is not None else None,
        )
        for name, layer in named_blocks(spec)
    }
    transitions = tuple(kept.width(f"transitions.{index}.reduce.conv.weight") for index in range(len(spec.transitions)))
    return with_blocks(  # type: ignore[no-any-return]
        spec, layers, stem=stem_of(spec, kept.width(stem)), transitions=transitions
    )
