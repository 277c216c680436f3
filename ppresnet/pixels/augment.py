"""Random changes to training images; each a small frozen class that is called with the generator to draw from."""

import functools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from pydantic import BaseModel, Field, TypeAdapter, model_validator

from ppresnet.pixels.erase import Cutout, RandomErasing
from ppresnet.pixels.frozen import Frozen
from ppresnet.pixels.policies import AutoAugment, RandAugment
from ppresnet.pixels.preprocess import centre_crop, resize, resize_shorter
from ppresnet.pixels.random_part import Range, draw_sides, expect_ranges

Strength = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class RandomCrop(Frozen):
    """Pads every side with `padding` pixels and cuts a random square of the input size (CIFAR, He 2015).

    Args:
        padding: pixels on each side.
        padding_mode: `constant` pads with zeros; `edge`, `reflect` and `symmetric` go on with the image, as
            `numpy.pad` and torchvision do.
    """

    name: Literal["random_crop"] = "random_crop"
    padding: Annotated[int, Field(ge=0)] = 0
    padding_mode: Literal["constant", "edge", "reflect", "symmetric"] = "constant"

    def __call__(self, image: NDArray[np.uint8], rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
        """Maps uint8 [height, width, channels] to [size, size, channels].

        Raises:
            ValueError: a side is smaller than `size` even with the padding.
        """
        pad, (height, width, channels) = self.padding, image.shape
        free_rows, free_columns = height + 2 * pad - size, width + 2 * pad - size
        if min(free_rows, free_columns) < 0:
            raise ValueError(f"cannot cut {size} x {size} from {height} x {width} with padding {pad}")
        top, left = int(rng.integers(free_rows + 1)), int(rng.integers(free_columns + 1))
        if self.padding_mode != "constant":
            rows, columns = (padded_indices(side, pad, self.padding_mode) for side in (height, width))
            return image.take(rows[top : top + size], axis=0).take(columns[left : left + size], axis=1)
        padded = np.zeros((height + 2 * pad, width + 2 * pad, channels), np.uint8)
        padded[pad : pad + height, pad : pad + width] = image
        return padded[top : top + size, left : left + size]


@functools.lru_cache(maxsize=256)
def padded_indices(side: int, pad: int, mode: Literal["edge", "reflect", "symmetric"]) -> NDArray[np.int64]:
    """Gives which of `side` pixels stands at each place of a padded side: int64 [side + 2 pad], read-only."""
    indices: NDArray[np.int64] = np.pad(np.arange(side, dtype=np.int64), pad, mode=mode)
    indices.flags.writeable = False
    return indices


class RandomFlip(Frozen):
    """Mirrors left and right with probability `p`."""

    name: Literal["random_flip"] = "random_flip"
    p: Annotated[float, Field(ge=0, le=1)] = 0.5

    def __call__(self, image: NDArray[np.uint8], rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
        """Maps uint8 [height, width, channels] to the same shape; `size` plays no part."""
        return image[:, ::-1] if rng.random() < self.p else image


class ColorJitter(Frozen):
    """Changes brightness, contrast, saturation and hue by random factors in random order, as torchvision does on PIL.

    The first three factors are uniform in [max(0, 1 - b), 1 + b]; hue turns by a uniform share of the circle in
    [-hue, hue]. Grey images have neither saturation nor hue.
    """

    name: Literal["color_jitter"] = "color_jitter"
    brightness: Strength = 0.0
    contrast: Strength = 0.0
    saturation: Strength = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0

    def __call__(self, image: NDArray[np.uint8], rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
        """Maps uint8 [height, width, channels] to the same shape; `size` plays no part."""
        order = rng.permutation(4)
        strengths = (self.brightness, self.contrast, self.saturation)
        factors = [rng.uniform(max(0.0, 1 - strength), 1 + strength) for strength in strengths]
        turn = rng.uniform(-self.hue, self.hue)
        grey = image.shape[2] == 1
        picture = Image.fromarray(image[:, :, 0] if grey else image)
        for step in order:
            if step == 3:
                picture = picture if grey or not self.hue else _turn_hue(picture, turn)
            elif strengths[step]:
                picture = _ENHANCE[step](picture).enhance(factors[step])
        pixels = np.asarray(picture)
        return pixels[:, :, None] if grey else pixels


_ENHANCE = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def _turn_hue(picture: Image.Image, turn: float) -> Image.Image:
    hue, saturation, value = picture.convert("HSV").split()
    turned = np.asarray(hue) + np.uint8(int(turn * 255) % 256)
    return Image.merge("HSV", (Image.fromarray(turned), saturation, value)).convert("RGB")


class RandomResizedCrop(Frozen):
    """Resizes a random part of the picture to the input size (Inception, Szegedy 2015; sampling as in torchvision).

    Args:
        scale: smallest and largest share of the picture's area.
        ratio: smallest and largest width / height; drawn uniformly in the logarithm.
    """

    name: Literal["random_resized_crop"] = "random_resized_crop"
    scale: Range = (0.08, 1.0)
    ratio: Range = (3 / 4, 4 / 3)

    @model_validator(mode="after")
    def _ordered(self) -> "RandomResizedCrop":
        expect_ranges(self.scale, self.ratio)
        return self

    def __call__(self, image: NDArray[np.uint8], rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
        """Maps uint8 [height, width, channels] to [size, size, channels]; a centre crop when ten draws do not fit."""
        box = self._draw(image.shape[0], image.shape[1], rng)
        if box is None:
            return centre_crop(resize_shorter(image, size), size)
        top, left, height, width = box
        return resize(image[top : top + height, left : left + width], size, size)

    def _draw(self, rows: int, columns: int, rng: np.random.Generator) -> tuple[int, int, int, int] | None:
        for _ in range(10):
            width, height = draw_sides(rows * columns, self.scale, self.ratio, rng)
            if 0 < width <= columns and 0 < height <= rows:
                top, left = rng.integers(rows - height + 1), rng.integers(columns - width + 1)
                return int(top), int(left), height, width
        return None


Augment: TypeAlias = Annotated[
    RandomCrop | RandomFlip | ColorJitter | RandomResizedCrop | RandAugment | AutoAugment | RandomErasing | Cutout,
    Field(discriminator="name"),
]
AUGMENTS: Mapping[str, type[Frozen]] = {
    "random_crop": RandomCrop,
    "random_flip": RandomFlip,
    "color_jitter": ColorJitter,
    "random_resized_crop": RandomResizedCrop,
    "rand_augment": RandAugment,
    "auto_augment": AutoAugment,
    "random_erasing": RandomErasing,
    "cutout": Cutout,
}
_PARSER: TypeAdapter[tuple[Augment, ...]] = TypeAdapter(tuple[Augment, ...])


def parse_augment(entries: Sequence[Mapping[str, Any] | BaseModel]) -> tuple[Augment, ...]:
    """Builds the augmentations of a recipe's list, e.g. `[{"name": "random_flip", "p": 0.5}]`.

    Raises:
        ValueError: an unknown name or key, or a value out of range (pydantic names the place).
    """
    return _PARSER.validate_python(entries)
