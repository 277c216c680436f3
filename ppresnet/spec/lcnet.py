"""PP-LCNet, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from pydantic import Field, model_validator

from ppresnet.errors import ConfigError
from ppresnet.spec.base import Activation, Frozen, ModelSpec


class SeparableSpec(Frozen):
    """One depthwise separable block: a depthwise convolution, then a 1x1 convolution to `width` channels.

    `reduced` is the inner width of the squeeze and excitation between them, where there is one.
    """

    kernel: Literal[3, 5]
    width: int = Field(ge=1)
    stride: int = Field(default=1, ge=1)
    reduced: int | None = Field(default=None, ge=1)


class LCNetSpec(ModelSpec):
    """A network without skips that is quick on CPUs (Cui et al. 2021, arXiv:2109.15099).

    `stem` is the width of the first convolution, 3x3 with stride 2, and `hidden` that of the 1x1 convolution between
    the pooling and the classifier.
    """

    family: Literal["lcnet"] = "lcnet"
    act: Activation = "hard_swish"
    stem: int = Field(ge=1)
    stages: tuple[tuple[SeparableSpec, ...], ...] = Field(min_length=1)
    hidden: int = Field(default=1280, ge=1)

    @model_validator(mode="after")
    def _parts_agree(self) -> LCNetSpec:
        problems = []
        if self.drop_path:
            problems.append(
                f"model.drop_path: {self.name} has no skips, so no branch can be dropped; "
                f"leave it at 0, found {self.drop_path}"
            )
        if self.zero_init_gamma:
            problems.append(f"model.zero_init_gamma: {self.name} has no skips to start as; leave it false")
        if problems:
            raise ConfigError(*problems)
        return self


# Kernel, width and stride of each block; those of the last stage have squeeze and excitation (Cui et al., table 2).
LAYOUT: tuple[tuple[tuple[Literal[3, 5], int, int], ...], ...] = (
    ((3, 32, 1),),
    ((3, 64, 2), (3, 64, 1)),
    ((3, 128, 2), (3, 128, 1)),
    ((3, 256, 2), (5, 256, 1), (5, 256, 1), (5, 256, 1), (5, 256, 1), (5, 256, 1)),
    ((5, 512, 2), (5, 512, 1)),
)


def lcnet(name: str, scale: float, **overrides: Any) -> LCNetSpec:
    """Return PP-LCNet with every width scaled and rounded to a multiple of eight.

    Args:
        name: the name in the zoo.
        scale: of the widths.
        **overrides: fields of `ModelSpec`.
    """
    width = _eights(16 * scale)
    stem, stages = width, []
    for stage in LAYOUT:
        blocks = []
        for kernel, planes, stride in stage:
            reduced = width // 4 if stage is LAYOUT[-1] else None
            width = _eights(planes * scale)
            blocks.append(SeparableSpec(kernel=kernel, width=width, stride=stride, reduced=reduced))
        stages.append(tuple(blocks))
    fields: dict[str, Any] = {"num_classes": 1000} | overrides
    return LCNetSpec(name=name, stem=stem, stages=tuple(stages), **fields)


def _eights(width: float) -> int:
    """Return the nearest multiple of eight that is at least eight and not more than a tenth below `width`."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * width else rounded + 8


LCNETS: Mapping[str, Callable[..., ModelSpec]] = {
    "lcnet_025": partial(lcnet, scale=0.25),
    "lcnet_035": partial(lcnet, scale=0.35),
    "lcnet_050": partial(lcnet, scale=0.5),
    "lcnet_075": partial(lcnet, scale=0.75),
    "lcnet_100": partial(lcnet, scale=1.0),
    "lcnet_150": partial(lcnet, scale=1.5),
    "lcnet_200": partial(lcnet, scale=2.0),
    "lcnet_250": partial(lcnet, scale=2.5),
}
