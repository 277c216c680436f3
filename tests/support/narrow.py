"""Narrow, shallow versions of the residual networks of the zoo, quick enough to train in a test."""

from math import gcd

from ppresnet.spec import ModelSpec, PreActSpec, ResNetSpec, spec_of

STEM, FIRST = 8, 32  # channels that the stem and the first stage may have; every width shrinks as much
BLOCKS = 2  # of each stage


def narrow(name: str, **overrides: object) -> ModelSpec:
    """Return the spec of a named network with few channels, two blocks a stage and five classes."""
    spec = spec_of(name, **({"num_classes": 5} | overrides))
    assert isinstance(spec, ResNetSpec | PreActSpec)
    divisor = max(spec.stem.width // STEM, spec.stages[0][0].widths[-1] // FIRST)
    stages = []
    for stage in spec.stages:
        blocks = []
        for block in stage[:BLOCKS]:
            fields = {"widths": tuple(width // divisor for width in block.widths)}
            if isinstance(spec, ResNetSpec):
                fields["groups"] = gcd(block.groups, fields["widths"][0])
                fields["se"] = block.se and max(block.se // divisor, 2)
            blocks.append(block.model_copy(update=fields))
        stages.append(tuple(blocks))
    stem = spec.stem.model_copy(update={"width": spec.stem.width // divisor})
    return spec.model_copy(update={"stem": stem, "stages": tuple(stages)})
