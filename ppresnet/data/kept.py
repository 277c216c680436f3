"""Images kept in memory once they are decoded, which for small ones costs more than all that follows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppresnet.data.source import Source


class KeptImages:
    """A source that decodes an image once, as long as there is room; each process keeps its own.

    Args:
        source: where the images come from.
        limit: bytes of pixels to keep; the images that come after are decoded every time.
    """

    def __init__(self, source: Source, limit: int) -> None:
        self.source = source
        self.limit = limit
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._room = limit

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "limit": self.limit, "_kept": {}, "_room": self.limit}

    def __len__(self) -> int:
        return len(self.source)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names."""
        return self.source.classes

    @property
    def labels(self) -> NDArray[np.int64]:
        """The label of each image."""
        return self.source.labels

    def name(self, index: int) -> str:
        """Names one image as its source does."""
        return self.source.name(index)

    def describe(self) -> str:
        """Says in one line what was found."""
        return self.source.describe()

    def image(self, index: int) -> NDArray[np.uint8]:
        """Gives uint8 [height, width, channels], not to be written to. Raises BrokenImage or OSError as its source."""
        image = self._kept.get(index)
        if image is None:
            image = self.source.image(index)
            if image.nbytes <= self._room:
                image.setflags(write=False)
                self._kept[index] = image
                self._room -= image.nbytes
        return image
