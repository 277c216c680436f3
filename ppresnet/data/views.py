"""Test-time augmentation: which views of an image a network is asked about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppresnet.data.samples import Batch, PixelBatch, Samples
from ppresnet.data.source import Source
from ppresnet.errors import ConfigError
from ppresnet.pixels import Preprocess


class Views(NamedTuple):
    """Crops of the evaluation path, and whether each is shown mirrored too."""

    corners: bool
    mirror: bool


VIEWS: Mapping[str, Views] = {
    "none": Views(corners=False, mirror=False),
    "flip": Views(corners=False, mirror=True),
    "five_crop": Views(corners=True, mirror=False),
    "ten_crop": Views(corners=True, mirror=True),
}


class CornerSamples(Samples):
    """The four corners and the centre of each image (Krizhevsky et al. 2012, section 4.1).

    A batch has images float32 [good, 5, channels, size, size]: top left, top right, bottom left, bottom right, centre.

    Raises:
        ConfigError: images are resized to the input size, so that there are no corners to cut.
    """

    def __init__(self, source: Source, preprocess: Preprocess) -> None:
        super().__init__(source, preprocess)
        if preprocess.resize is None or preprocess.resize <= preprocess.input_size:
            raise ConfigError(
                f"crops of the corners need data.resize above data.input_size, which is {preprocess.input_size}; "
                f"found {'null' if preprocess.resize is None else preprocess.resize}; set data.resize, or use flip"
            )

    def finish(self, batch: PixelBatch) -> Batch:
        """Normalises and labels a batch."""
        size, channels = self.preprocess.input_size, self.preprocess.in_channels
        flat = super().finish(PixelBatch(batch.pixels.reshape(-1, size, size, channels), batch.indices, batch.broken))
        return Batch(flat.images.reshape(-1, 5, channels, size, size), flat.labels, flat.indices, flat.broken)

    def _image(self, epoch: int, index: int) -> NDArray[np.uint8]:
        image, size = self.preprocess.scale(self.source.image(index)), self.preprocess.input_size
        down, right = image.shape[0] - size, image.shape[1] - size
        places = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
        return np.stack([image[top : top + size, left : left + size] for top, left in places])
