"""Decoding against Pillow's encoders and the definitions of the formats; damage of every kind is a BrokenImage."""

import concurrent.futures
import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ppresnet.pixels import BrokenImage, decode, to_channels

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (11, 7, 3), dtype=np.uint8)
GREY = COLOUR[:, :, 0]
SMOOTH = np.dstack([*np.meshgrid(np.arange(40) * 5, np.arange(32) * 7), np.full((32, 40), 90)]).astype(np.uint8)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, kind, **options)
    return buffer.getvalue()


def luma(rgb: np.ndarray) -> np.ndarray:
    """ITU-R 601-2 in the 16-bit fixed point that Pillow documents."""
    red, green, blue = np.moveaxis(rgb.astype(np.int64), 2, 0)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.uint8)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF"])
def test_lossless_formats_keep_every_value(kind: str) -> None:
    assert np.array_equal(decode(encoded(COLOUR, kind), 3), COLOUR)
    assert np.array_equal(decode(encoded(GREY, kind), 1)[:, :, 0], GREY)


def test_webp_and_gif() -> None:
    assert np.array_equal(decode(encoded(COLOUR, "WEBP", lossless=True), 3), COLOUR)
    assert np.array_equal(decode(encoded(GREY, "GIF"), 1)[:, :, 0], GREY)


def test_jpeg_is_close() -> None:
    assert np.abs(decode(encoded(SMOOTH, "JPEG", quality=95), 3).astype(int) - SMOOTH).max() < 12


def test_colour_to_grey_and_back() -> None:
    assert np.array_equal(decode(encoded(COLOUR), 1)[:, :, 0], luma(COLOUR))
    assert np.array_equal(decode(encoded(GREY), 3), np.dstack([GREY] * 3))
    assert np.array_equal(to_channels(COLOUR, 1)[:, :, 0], luma(COLOUR))
    assert np.array_equal(to_channels(GREY[:, :, None], 3), np.dstack([GREY] * 3))


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).transpose(1, 0, 2)),
        (8, np.rot90),
        (9, lambda a: a),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_exif_orientation(orientation: int, upright: Any, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    result = decode(encoded(SMOOTH, kind, exif=exif, **options), 3)
    expected = upright(SMOOTH)
    assert result.shape == expected.shape
    assert np.abs(result.astype(int) - expected).max() <= (6 if kind == "JPEG" else 0)


def test_sixteen_bit_grey_keeps_the_high_byte() -> None:
    values = np.array([[0, 255, 256], [32768, 65279, 65535]], np.uint16)
    assert decode(encoded(values), 1)[:, :, 0].tolist() == [[0, 0, 1], [128, 254, 255]]
    assert decode(encoded(values), 3)[:, :, 2].tolist() == [[0, 0, 1], [128, 254, 255]]


def test_transparency_lies_on_white() -> None:
    alpha = RNG.integers(0, 256, GREY.shape, dtype=np.uint8)
    share = alpha[:, :, None] / 255
    expected = COLOUR * share + 255 * (1 - share)
    assert np.abs(decode(encoded(np.dstack([COLOUR, alpha])), 3) - expected).max() <= 1
    clear = np.dstack([COLOUR, np.zeros_like(GREY)])
    assert (decode(encoded(clear), 1) == 255).all()


def test_palette_bilevel_and_cmyk() -> None:
    palette = Image.fromarray(GREY).convert("RGB").quantize(4)
    expected = np.asarray(palette.convert("RGB"))
    assert np.array_equal(decode(encoded(palette), 3), expected)
    clear = decode(encoded(palette, transparency=bytes([0, 255, 255, 255])), 3)
    indices = np.asarray(palette)
    assert (clear[indices == 0] == 255).all()
    assert np.array_equal(clear[indices != 0], expected[indices != 0])
    assert np.array_equal(decode(encoded(Image.fromarray(GREY > 127)), 1)[:, :, 0], (GREY > 127) * np.uint8(255))
    cmyk = decode(encoded(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG", quality=95), 3)
    assert np.abs(cmyk.astype(int) - SMOOTH).max() < 16


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP"])
def test_cut_files_are_broken(kind: str) -> None:
    whole = encoded(SMOOTH, kind)
    for length in range(0, len(whole) - max(40, len(whole) // 8), max(1, len(whole) // 25)):
        with pytest.raises(BrokenImage):
            decode(whole[:length], 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP"])
def test_flipped_bytes_decode_or_are_broken(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    whole = encoded(SMOOTH, kind, **({} if kind in ("BMP", "GIF", "PPM") else {"exif": exif}))
    rng = np.random.default_rng(3)
    for _ in range(150):
        damaged = np.frombuffer(whole, np.uint8).copy()
        # Headers are where parsers go wrong, so half of the damage is done to the first 200 bytes.
        end = len(whole) if rng.random() < 0.5 else min(200, len(whole))
        damaged[rng.integers(0, end, 3)] = rng.integers(0, 256, 3)
        try:
            image = decode(damaged.tobytes(), 3, max_pixels=1_000_000)
        except BrokenImage as error:
            assert str(error)
        else:
            assert image.dtype == np.uint8
            assert image.ndim == 3
            assert image.shape[2] == 3


def test_what_is_no_image_is_broken() -> None:
    with pytest.raises(BrokenImage, match="known format"):
        decode(b"", 3)
    with pytest.raises(BrokenImage, match="known format"):
        decode(b"<svg/>", 3)
    with pytest.raises(BrokenImage, match="known format"):
        decode(encoded(COLOUR, "ICO"), 3)


@pytest.mark.parametrize(("width", "height"), [(40_000, 40_000), (10_000, 9_000), (8_001, 8_000)])
def test_bombs_are_refused_from_the_header(width: int, height: int) -> None:
    with pytest.raises(BrokenImage, match=r"64000000|DecompressionBomb"):
        decode(png_header(width, height), 3)


def test_limit_counts_pixels() -> None:
    data = encoded(COLOUR)
    assert decode(data, 3, max_pixels=77).shape == (11, 7, 3)
    with pytest.raises(BrokenImage, match="7 x 11 pixels; at most 76"):
        decode(data, 3, max_pixels=76)


def test_damaged_exif_costs_nothing() -> None:
    plain = encoded(SMOOTH, "JPEG")
    exif = b"Exif\0\0" + b"II*\0\x08\0\0\0\xff\xff" + b"\x01" * 30
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    data = plain[:2] + segment + plain[2:]
    with pytest.warns(UserWarning):
        Image.open(io.BytesIO(data)).getexif()
    assert np.array_equal(decode(data, 3), decode(plain, 3))


def test_samples_without_a_scale_are_broken() -> None:
    with pytest.raises(BrokenImage, match="floating-point"):
        decode(encoded(GREY.astype(np.float32), "TIFF"), 3)
    with pytest.raises(BrokenImage, match="grey values"):
        decode(encoded(GREY.astype(np.int32) * 1000, "TIFF"), 3)


def test_threads_leave_the_warning_filters_alone() -> None:
    before = list(warnings.filters)
    data = encoded(SMOOTH, "TIFF")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: decode(data, 3), range(200)))
    assert all(np.array_equal(result, SMOOTH) for result in results)
    assert list(warnings.filters) == before
