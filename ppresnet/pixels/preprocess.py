"""The evaluation path of an image: resize, centre crop, normalise; simple enough for C++ to repeat byte for byte."""

import functools
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ppresnet.pixels.decode import MAX_PIXELS, BrokenImage

BLOCK_PIXELS = 2**16
Positive = Annotated[int, Field(ge=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Preprocess(BaseModel):
    """How uint8 pixels become the float32 input of a network; stored in every bundle.

    1. The shorter side is resized to `resize` (`input_size` if that is null) with Pillow's BILINEAR filter on uint8;
       the longer side becomes floor(side * longer / shorter).
    2. A square of `input_size` is cut from the centre: top = floor((height - input_size) / 2), left likewise.
    3. Each value v of channel c becomes float32((v / 255 - mean[c]) / std[c]), computed in float64.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_size: Positive
    in_channels: Literal[1, 3]
    mean: tuple[Finite, ...]
    std: tuple[Annotated[Finite, Field(gt=0)], ...]
    resize: Positive | None = None

    @model_validator(mode="after")
    def _agree(self) -> "Preprocess":
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.in_channels:
                raise ValueError(f"{name} has {len(values)} values; expected {self.in_channels}, one a channel")
        if self.resize is not None and self.resize < self.input_size:
            raise ValueError(f"resize {self.resize} is smaller than input_size {self.input_size}, which is cut from it")
        return self

    def __call__(self, image_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Runs the whole path on uint8 [height, width, in_channels]; gives float32 [in_channels, size, size]."""
        result: NDArray[np.float32] = self.normalise(self.fit(image_HWC)[None])[0]
        return result

    def fit(self, image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resizes and crops uint8 [height, width, channels] to [input_size, input_size, channels]."""
        return centre_crop(self.scale(image_HWC), self.input_size)

    def scale(self, image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resizes the shorter side only; see `resize_shorter`."""
        return resize_shorter(image_HWC, self.resize or self.input_size)

    def normalise(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turns uint8 [batch, height, width, in_channels] into float32 [batch, in_channels, height, width]."""
        batch, height, width, channels = images_NHWC.shape
        if channels != self.in_channels:
            raise ValueError(f"images have {channels} channels; this network expects {self.in_channels}")
        result = np.empty((batch, channels, height, width), np.float32)
        # np.take widens its indices to 64 bits; block by block they stay in the cache.
        step = max(1, BLOCK_PIXELS // (height * width))
        for start in range(0, batch, step):
            block = slice(start, start + step)
            for channel, table in enumerate(normalise_table(self.mean, self.std)):
                np.take(table, images_NHWC[block, ..., channel], out=result[block, channel], mode="clip")
        return result


@functools.lru_cache(maxsize=16)
def normalise_table(mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """Tabulates float32((v / 255 - mean) / std) for v = 0 ... 255: float32 [channels, 256], read-only."""
    unit = np.arange(256, dtype=np.float64) / 255
    table: NDArray[np.float32] = ((unit - np.array(mean)[:, None]) / np.array(std)[:, None]).astype(np.float32)
    table.flags.writeable = False
    return table


def resize_shorter(image_HWC: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resizes so that the shorter side has `side` pixels and the longer floor(side * longer / shorter).

    Raises:
        BrokenImage: the picture is so long and thin that the result would have more than 64 million pixels.
    """
    height, width = image_HWC.shape[:2]
    shorter = min(height, width)
    if shorter == side:
        return image_HWC
    size = (side * width // shorter, side * height // shorter)
    if size[0] * size[1] > MAX_PIXELS:
        raise BrokenImage(f"{width} x {height} pixels would become {size[0]} x {size[1]}; at most {MAX_PIXELS} may")
    return resize(image_HWC, *size)


def resize(image_HWC: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resizes uint8 [h, w, 1 or 3] to [height, width, 1 or 3] with Pillow's antialiasing BILINEAR filter."""
    grey = image_HWC.shape[2] == 1
    image = Image.fromarray(image_HWC[:, :, 0] if grey else image_HWC)
    # One side a call: which side Pillow takes first depends on its version and the shape, and rounding on the order.
    for size in ((width, image.height), (width, height)):
        image = image.resize(size, Image.Resampling.BILINEAR)
    resized = np.asarray(image)
    return resized[:, :, None] if grey else resized


def centre_crop(image_HWC: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Cuts [size, size] from the centre, rounding the offsets down; both sides must have at least `size` pixels."""
    height, width = image_HWC.shape[:2]
    top, left = (height - size) // 2, (width - size) // 2
    return image_HWC[top : top + size, left : left + size]
