"""Parts of a training image painted over."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ppresnet.pixels.frozen import Frozen
from ppresnet.pixels.random_part import Range, draw_sides, expect_ranges


class RandomErasing(Frozen):
    """Paints a random rectangle over with noise or black (Zhong et al. 2017, arXiv:1708.04896).

    Args:
        p: probability of doing so.
        scale: smallest and largest share of the image's area.
        ratio: smallest and largest height / width; drawn uniformly in the logarithm.
        fill: `noise` draws every pixel, `black` is zero.
    """

    name: Literal["random_erasing"] = "random_erasing"
    p: Annotated[float, Field(ge=0, le=1)] = 0.25
    scale: Range = (0.02, 1 / 3)
    ratio: Range = (0.3, 3.3)
    fill: Literal["noise", "black"] = "noise"

    @model_validator(mode="after")
    def _ordered(self) -> "RandomErasing":
        expect_ranges(self.scale, self.ratio)
        return self

    def __call__(self, image: NDArray[np.uint8], rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
        """Maps uint8 [height, width, channels] to the same shape; unchanged when ten draws do not fit."""
        if rng.random() >= self.p:
            return image
        rows, columns, channels = image.shape
        for _ in range(10):
            height, width = draw_sides(rows * columns, self.scale, self.ratio, rng)
            if 0 < height <= rows and 0 < width <= columns:
                top, left = int(rng.integers(rows - height + 1)), int(rng.integers(columns - width + 1))
                shape = (height, width, channels)
                patch = rng.integers(0, 256, shape, np.uint8) if self.fill == "noise" else np.zeros(shape, np.uint8)
                return painted(image, top, left, patch)
        return image


class Cutout(Frozen):
    """Paints a square black whose centre is anywhere in the image (DeVries and Taylor 2017, arXiv:1708.04552).

    Args:
        length: side of the square in pixels; what lies outside of the image is cut off.
    """

    name: Literal["cutout"] = "cutout"
    length: Annotated[int, Field(ge=1)] = 16

    def __call__(self, image: NDArray[np.uint8], rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
        """Maps uint8 [height, width, channels] to the same shape; `size` plays no part."""
        rows, columns, channels = image.shape
        top, left = (int(rng.integers(side)) - self.length // 2 for side in (rows, columns))
        bottom, right = min(top + self.length, rows), min(left + self.length, columns)
        top, left = max(top, 0), max(left, 0)
        return painted(image, top, left, np.zeros((bottom - top, right - left, channels), np.uint8))


def painted(image: NDArray[np.uint8], top: int, left: int, patch: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a copy of an image with a patch at (top, left)."""
    copy: NDArray[np.uint8] = image.copy()
    copy[top : top + patch.shape[0], left : left + patch.shape[1]] = patch
    return copy
