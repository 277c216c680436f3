"""From the bytes of an image file to the numbers a network sees; training and serving share it."""

from ppresnet.pixels.augment import AUGMENTS, Augment, parse_augment
from ppresnet.pixels.decode import MAX_PIXELS, BrokenImage, decode, to_channels
from ppresnet.pixels.file import MAX_FILE_BYTES, SUFFIXES, is_image, read_image
from ppresnet.pixels.preprocess import Preprocess

__all__ = [
    "AUGMENTS",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "SUFFIXES",
    "Augment",
    "BrokenImage",
    "Preprocess",
    "decode",
    "is_image",
    "parse_augment",
    "read_image",
    "to_channels",
]
