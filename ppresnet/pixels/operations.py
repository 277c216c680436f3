"""What the learned and random augmentation policies do to a picture, each by a magnitude from 0 to 10.

The operations and their ranges are those of AutoAugment (Cubuk et al. 2018, arXiv:1805.09501, table 6); where an
operation has a direction, its sign is given apart from the magnitude. Areas that a move uncovers become grey.
"""

from collections.abc import Callable, Mapping

from PIL import Image, ImageEnhance, ImageOps

LARGEST = 10  # magnitude
Operation = Callable[[Image.Image, float], Image.Image]
"""Takes a picture and a strength from -1 to 1."""


def apply(picture: Image.Image, name: str, magnitude: float, sign: int) -> Image.Image:
    """Return a picture after an operation.

    Args:
        picture: grey or RGB.
        name: a key of `OPERATIONS`.
        magnitude: 0 to 10.
        sign: 1 or -1.
    """
    return OPERATIONS[name](picture, sign * magnitude / LARGEST)


def _affine(*terms: Callable[[float, int, int], float]) -> Operation:
    def move(picture: Image.Image, strength: float) -> Image.Image:
        matrix = [term(strength, picture.width, picture.height) for term in terms]
        return picture.transform(
            picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST, fillcolor=_grey(picture)
        )

    return move


def _zero(_: float, __: int, ___: int) -> float:
    return 0.0


def _one(_: float, __: int, ___: int) -> float:
    return 1.0


def _shear(strength: float, _: int, __: int) -> float:
    return 0.3 * strength


def _rotate(picture: Image.Image, strength: float) -> Image.Image:
    return picture.rotate(30 * strength, Image.Resampling.NEAREST, fillcolor=_grey(picture))


def _grey(picture: Image.Image) -> int | tuple[int, ...]:
    return 128 if picture.mode == "L" else (128,) * len(picture.getbands())


def _enhance(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Operation:
    return lambda picture, strength: kind(picture).enhance(1.0 + 0.9 * strength)


def _posterize(picture: Image.Image, strength: float) -> Image.Image:
    return ImageOps.posterize(picture, 8 - round(4 * abs(strength)))


def _solarize(picture: Image.Image, strength: float) -> Image.Image:
    return ImageOps.solarize(picture, round(256 * (1 - abs(strength))))


OPERATIONS: Mapping[str, Operation] = {
    "identity": lambda picture, _: picture,
    "shear_x": _affine(_one, _shear, _zero, _zero, _one, _zero),
    "shear_y": _affine(_one, _zero, _zero, _shear, _one, _zero),
    "translate_x": _affine(_one, _zero, lambda s, width, _: 150 / 331 * width * s, _zero, _one, _zero),
    "translate_y": _affine(_one, _zero, _zero, _zero, _one, lambda s, _, height: 150 / 331 * height * s),
    "rotate": _rotate,
    "auto_contrast": lambda picture, _: ImageOps.autocontrast(picture),
    "invert": lambda picture, _: ImageOps.invert(picture),
    "equalize": lambda picture, _: ImageOps.equalize(picture),
    "solarize": _solarize,
    "posterize": _posterize,
    "contrast": _enhance(ImageEnhance.Contrast),
    "color": _enhance(ImageEnhance.Color),
    "brightness": _enhance(ImageEnhance.Brightness),
    "sharpness": _enhance(ImageEnhance.Sharpness),
}
