"""Augmentation by several operations in a row: RandAugment and AutoAugment."""

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from ppresnet.pixels.frozen import Frozen
from ppresnet.pixels.operations import LARGEST, OPERATIONS, apply

# RandAugment's list: every operation but invert.
_RANDOM = tuple(name for name in OPERATIONS if name != "invert")


class Step(NamedTuple):
    """An operation, the probability that it is done, and its magnitude."""

    name: str
    p: float
    magnitude: int


class RandAugment(Frozen):
    """Does `n` operations drawn at random, all of magnitude `m` (Cubuk et al. 2019, arXiv:1909.13719)."""

    name: Literal["rand_augment"] = "rand_augment"
    n: Annotated[int, Field(ge=1)] = 2
    m: Annotated[float, Field(ge=0, le=LARGEST)] = 9.0

    def __call__(self, image: NDArray[np.uint8], rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
        """Maps uint8 [height, width, channels] to the same shape; `size` plays no part."""
        picture = _picture(image)
        for index in rng.integers(len(_RANDOM), size=self.n):
            picture = apply(picture, _RANDOM[index], self.m, _sign(rng))
        return _pixels(picture)


class AutoAugment(Frozen):
    """Does one of 25 learned pairs of operations (Cubuk et al. 2018, arXiv:1805.09501, tables 7 and 9).

    Args:
        policy: of which data set it was learned.
    """

    name: Literal["auto_augment"] = "auto_augment"
    policy: Literal["cifar10", "imagenet"] = "imagenet"

    def __call__(self, image: NDArray[np.uint8], rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
        """Maps uint8 [height, width, channels] to the same shape; `size` plays no part."""
        picture = _picture(image)
        pairs = POLICIES[self.policy]
        for step in pairs[rng.integers(len(pairs))]:
            done, sign = rng.random() < step.p, _sign(rng)
            picture = apply(picture, step.name, step.magnitude, sign) if done else picture
        return _pixels(picture)


def _sign(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


def _picture(image: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else np.ascontiguousarray(image))


def _pixels(picture: Image.Image) -> NDArray[np.uint8]:
    pixels = np.asarray(picture)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _pairs(table: str) -> tuple[tuple[Step, Step], ...]:
    def step(text: str) -> Step:
        name, p, magnitude = text.split()
        return Step(name, float(p), int(magnitude))

    return tuple((step(first), step(second)) for first, second in (line.split(",") for line in table.split(";")))


POLICIES: Mapping[str, tuple[tuple[Step, Step], ...]] = {
    "cifar10": _pairs(
        "invert .1 7, contrast .2 6; rotate .7 2, translate_x .3 9; sharpness .8 1, sharpness .9 3;"
        "shear_y .5 8, translate_y .7 9; auto_contrast .5 8, equalize .9 2; shear_y .2 7, posterize .3 7;"
        "color .4 3, brightness .6 7; sharpness .3 9, brightness .7 9; equalize .6 5, equalize .5 1;"
        "contrast .6 7, sharpness .6 5; color .7 7, translate_x .5 8; equalize .3 7, auto_contrast .4 8;"
        "translate_y .4 3, sharpness .2 6; brightness .9 6, color .2 8; solarize .5 2, invert 0 3;"
        "equalize .2 0, auto_contrast .6 0; equalize .2 8, equalize .6 4; color .9 9, equalize .6 6;"
        "auto_contrast .8 4, solarize .2 8; brightness .1 3, color .7 0; solarize .4 5, auto_contrast .9 3;"
        "translate_y .9 9, translate_y .7 9; auto_contrast .9 2, solarize .8 3; equalize .8 8, invert .1 3;"
        "translate_y .7 9, auto_contrast .9 1"
    ),
    "imagenet": _pairs(
        "posterize .4 8, rotate .6 9; solarize .6 5, auto_contrast .6 5; equalize .8 8, equalize .6 3;"
        "posterize .6 7, posterize .6 6; equalize .4 7, solarize .2 4; equalize .4 4, rotate .8 8;"
        "solarize .6 3, equalize .6 7; posterize .8 5, equalize 1 2; rotate .2 3, solarize .6 8;"
        "equalize .6 8, posterize .4 6; rotate .8 8, color .4 0; rotate .4 9, equalize .6 2;"
        "equalize 0 7, equalize .8 8; invert .6 4, equalize 1 8; color .6 4, contrast 1 8;"
        "rotate .8 8, color 1 2; color .8 8, solarize .8 7; sharpness .4 7, invert .6 8;"
        "shear_x .6 5, equalize 1 9; color .4 0, equalize .6 3; equalize .4 7, solarize .2 4;"
        "solarize .6 5, auto_contrast .6 5; invert .6 4, equalize 1 8; color .6 4, contrast 1 8;"
        "equalize .8 8, equalize .6 3"
    ),
}
