"""Widths of DenseNet against table 1 of the paper, and what is refused."""

import pytest

from ppresnet.errors import ConfigError
from ppresnet.spec import DenseLayerSpec, DenseNetSpec, StemSpec, spec_of


def _channels(spec: DenseNetSpec) -> list[int]:
    """Return the channels at the end of each stage."""
    firsts = (spec.stem.width, *spec.transitions)
    return [first + sum(layer.growth for layer in stage) for first, stage in zip(firsts, spec.stages, strict=True)]


@pytest.mark.parametrize(
    ("name", "depths", "channels"),
    [
        ("densenet121", [6, 12, 24, 16], [256, 512, 1024, 1024]),
        ("densenet169", [6, 12, 32, 32], [256, 512, 1280, 1664]),
        ("densenet201", [6, 12, 48, 32], [256, 512, 1792, 1920]),
        ("densenet161", [6, 12, 36, 24], [384, 768, 2112, 2208]),
        ("cifar_densenet40_12", [12, 12, 12], [160, 304, 448]),
        ("cifar_densenet_bc100_12", [16, 16, 16], [216, 300, 342]),
        ("cifar_densenet_bc190_40", [31, 31, 31], [1320, 1900, 2190]),
    ],
)
def test_depths_and_channels(name: str, depths: list[int], channels: list[int]) -> None:
    spec = spec_of(name)
    assert isinstance(spec, DenseNetSpec)
    assert [len(stage) for stage in spec.stages] == depths
    assert _channels(spec) == channels
    bottlenecks = {layer.bottleneck for stage in spec.stages for layer in stage}
    growth = spec.stages[0][0].growth
    assert bottlenecks == ({None} if name == "cifar_densenet40_12" else {4 * growth})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"transitions": ()}, "expected a width of at least 1 between each two of 2 stages, found \\[\\]"),
        ({"transitions": (0,)}, "found \\[0\\]"),
        ({"zero_init_gamma": True}, "end in a convolution, which has no gamma"),
        ({"input_size": 4}, "down to nothing below 5 pixels, found 4"),
    ],
)
def test_parts_that_do_not_fit_are_refused(fields: dict[str, object], message: str) -> None:
    stage = (DenseLayerSpec(growth=4),)
    whole = {"stem": StemSpec(kind="imagenet", width=8), "stages": (stage, stage), "transitions": (6,)}
    with pytest.raises(ConfigError, match=message):
        DenseNetSpec.model_validate({"name": "small", "num_classes": 2, "input_size": 32, **whole, **fields})


def test_the_smallest_image_is_named() -> None:
    assert spec_of("densenet121", input_size=29).input_size == 29
    with pytest.raises(ConfigError, match="below 29 pixels, found 28"):
        spec_of("densenet121", input_size=28)
