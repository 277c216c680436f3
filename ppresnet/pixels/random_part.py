"""The size of a random part of an image: its share of the area, and its shape."""

import math
from typing import Annotated, TypeAlias

import numpy as np
from pydantic import Field

Fraction = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Range: TypeAlias = tuple[Fraction, Fraction]


def expect_ranges(scale: Range, ratio: Range) -> None:
    """Check what `draw_sides` draws from.

    Raises:
        ValueError: a range has its larger end first, or a share of the area is above 1.
    """
    if scale[0] > scale[1] or scale[1] > 1:
        raise ValueError(f"scale is {scale}; expected two shares of the area, smaller first, at most 1")
    if ratio[0] > ratio[1]:
        raise ValueError(f"ratio is {ratio}; expected the smaller first")


def draw_sides(area: int, scale: Range, ratio: Range, rng: np.random.Generator) -> tuple[int, int]:
    """Return two sides in pixels, which may be 0 or longer than the image.

    Args:
        area: of the image, pixels.
        scale: smallest and largest share of the area that the sides enclose.
        ratio: smallest and largest quotient of the first side and the second; drawn uniformly in the logarithm.
        rng: to draw from.
    """
    part = area * rng.uniform(*scale)
    quotient = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
    return round(math.sqrt(part * quotient)), round(math.sqrt(part / quotient))
