"""Image bytes to uint8 pixels with Pillow, with a limit on size and one exception for everything unreadable."""

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 64_000_000
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
EXIF_ORIENTATION = 0x0112
TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_warnings_lock = threading.Lock()


class BrokenImage(ValueError):  # noqa: N818 - a finding about one image, which callers count, not a failure of the program
    """The bytes are not an image that can be read whole; the message is the reason, without the file's name."""


def decode(data: bytes, in_channels: int, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decodes one image file: the first frame, turned upright as its EXIF orientation says.

    Transparency is laid over white. Of 16-bit samples the high byte is kept.

    Args:
        data: the file's bytes: JPEG, PNG, BMP, GIF, PPM, TIFF or WebP.
        in_channels: 1 for grey (ITU-R 601 luma), 3 for RGB.
        max_pixels: more than these are refused from the header alone, before any pixel is decoded.

    Returns:
        uint8 [height, width, in_channels].

    Raises:
        BrokenImage: unknown format, truncated or damaged data, or too many pixels.
    """
    try:
        image = _upright(_load(data, max_pixels))
        return _as_array(_flatten(image), in_channels)
    except (BrokenImage, MemoryError):
        raise
    except Exception as error:  # Pillow's parsers raise nearly every built-in exception on damaged files
        raise BrokenImage(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from error


def to_channels(image: NDArray[np.uint8], in_channels: int) -> NDArray[np.uint8]:
    """Makes uint8 [height, width, 1 or 3] have `in_channels` channels: grey is repeated, colour becomes luma."""
    channels = image.shape[2]
    if channels == in_channels:
        return image
    if channels == 1:
        return np.repeat(image, in_channels, axis=2)
    return np.asarray(Image.fromarray(image).convert("L"))[:, :, None]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences Pillow's remarks (damaged EXIF, large image); the lock is there because filters are process-wide."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _load(data: bytes, max_pixels: int) -> Image.Image:
    with _quiet():
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError:
            raise BrokenImage(f"not an image of a known format ({', '.join(FORMATS)}); {len(data)} bytes") from None
    width, height = image.size
    if width * height > max_pixels:
        raise BrokenImage(f"{width} x {height} pixels; at most {max_pixels} are decoded")
    # TIFF reads its tags again while loading, and remarks on them; the others decode without the lock.
    with _quiet() if image.format == "TIFF" else contextlib.nullcontext():
        image.load()
    return image


def _upright(image: Image.Image) -> Image.Image:
    if image.format == "JPEG" and "exif" not in image.info:
        return image
    with _quiet():
        turn = TRANSPOSE.get(image.getexif().get(EXIF_ORIENTATION, 1))
    return image if turn is None else image.transpose(turn)


def _flatten(image: Image.Image) -> Image.Image:
    """Gives transparent pixels a white ground, and leaves every other image as it is."""
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, layer).convert("RGB")


def _as_array(image: Image.Image, in_channels: int) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):
        image = _high_byte(image)
    if image.mode == "F":
        raise BrokenImage("floating-point pixels; expected 8 or 16 bits a sample")
    mode = "L" if in_channels == 1 else "RGB"
    pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    return pixels[:, :, None] if in_channels == 1 else pixels


def _high_byte(image: Image.Image) -> Image.Image:
    """Scales 16-bit grey to 8 bits the way Pillow scales 16-bit colour."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise BrokenImage(f"grey values from {values.min()} to {values.max()}; expected 8 or 16 bits a sample")
    return Image.fromarray((values >> 8).astype(np.uint8))
