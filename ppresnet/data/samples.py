"""From indices to a batch: read, augment, normalise; the same numbers whichever process does it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from ppresnet.data.broken import Broken
from ppresnet.data.order import sample_generator
from ppresnet.data.source import Source
from ppresnet.errors import DataError
from ppresnet.pixels import BrokenImage, Preprocess, parse_augment


@dataclass(frozen=True, eq=False)
class PixelBatch:
    """A batch before it is normalised, a quarter of its later size: what worker processes send.

    `pixels` is uint8 NHWC [good, size, size, channels], `indices` int64 [good]; `broken` names those left out.
    """

    pixels: NDArray[np.uint8]
    indices: NDArray[np.int64]
    broken: tuple[Broken, ...]


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch as the network takes it, without the broken images.

    `images` is float32 [good, channels, size, size], `labels` and `indices` are int64 [good]; where images have several
    labels, those are int64 [good, classes] of zeros and ones.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    broken: tuple[Broken, ...]


class Samples:
    """The images of a source, as they are fed to the network.

    Without augmentations every image takes the evaluation path. With them, `random_resized_crop` takes the place of
    resize and centre crop, `random_crop` that of the centre crop, and after any others alone both are done first; so
    the result always has the input size.

    Args:
        source: where the images come from.
        preprocess: the evaluation path.
        augment: entries of `data.augment`, in order.
        seed: with epoch and index it decides everything random.
    """

    def __init__(
        self,
        source: Source,
        preprocess: Preprocess,
        augment: Sequence[Mapping[str, Any] | BaseModel] = (),
        seed: int = 0,
    ) -> None:
        self.source, self.preprocess, self.seed = source, preprocess, seed
        self.augment = parse_augment(augment)
        crops = [step.name for step in self.augment if step.name in ("random_crop", "random_resized_crop")]
        self._crop = crops[0] if crops else None

    def __len__(self) -> int:
        return len(self.source)

    def load(self, epoch: int, indices: NDArray[np.int64]) -> Batch:
        """Loads a batch. Raises DataError, naming the image, when a file cannot be read at all (disk, permissions)."""
        return self.finish(self.pixels(epoch, indices))

    def pixels(self, epoch: int, indices: NDArray[np.int64]) -> PixelBatch:
        """Reads and augments a batch, broken images left out; raises as `load`."""
        good, images, broken = [], [], []
        for index in map(int, indices):
            try:
                images.append(self._image(epoch, index))
                good.append(index)
            except BrokenImage as error:
                broken.append(Broken(self.source.name(index), str(error)))
            except OSError as error:
                raise DataError(f"'{self.source.name(index)}' cannot be read: {error}") from error
        size, channels = self.preprocess.input_size, self.preprocess.in_channels
        stacked = np.stack(images) if images else np.empty((0, size, size, channels), np.uint8)
        return PixelBatch(stacked, np.array(good, np.int64), tuple(broken))

    def finish(self, batch: PixelBatch) -> Batch:
        """Normalises and labels a batch."""
        images = self.preprocess.normalise(batch.pixels)
        return Batch(images, self.source.labels[batch.indices], batch.indices, batch.broken)

    def _image(self, epoch: int, index: int) -> NDArray[np.uint8]:
        image = self.source.image(index)
        if self._crop is None:
            image = self.preprocess.fit(image)
        elif self._crop == "random_crop":
            image = self.preprocess.scale(image)
        if self.augment:
            rng = sample_generator(self.seed, epoch, index)
            for step in self.augment:
                image = step(image, rng, self.preprocess.input_size)
        return image
