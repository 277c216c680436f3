"""What a data set is to the rest of the program."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Source(Protocol):
    """Labelled images by index; it pickles small, and every process opens its own files."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; a label is an index into them."""
        ...

    @property
    def labels(self) -> NDArray[np.int64]:
        """The label of each image: int64 [images]; with several, int64 [images, classes] of zeros and ones."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Names one image the way its user would look for it."""
        ...

    def image(self, index: int) -> NDArray[np.uint8]:
        """Reads one image: uint8 [height, width, channels]. Raises BrokenImage; OSError when the disk fails."""
        ...

    def describe(self) -> str:
        """Says in one line what was found, files that were passed over included."""
        ...
