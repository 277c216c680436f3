"""A source whose images are files, decoded one at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppresnet.data.tree import Tree
from ppresnet.pixels import decode


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Image files of a folder or a zip with their labels.

    Args:
        tree: where the files are.
        names: the files, relative to the tree's root.
        labels: int64 [images], or [images, classes] of zeros and ones.
        classes: class names.
        in_channels: 1 to decode to grey, 3 to RGB.
        ignored: how many files were passed over because they are not images.
    """

    tree: Tree
    names: Sequence[str]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    in_channels: int
    ignored: int = 0

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """Gives the file's name relative to `data.root`."""
        return self.names[index]

    def image(self, index: int) -> NDArray[np.uint8]:
        """Reads and decodes one file: uint8 [height, width, in_channels]. Raises BrokenImage or OSError."""
        return decode(self.tree.read(self.names[index]), self.in_channels)

    def describe(self) -> str:
        """Says in one line what was found."""
        ignored = f", {self.ignored} other files ignored" if self.ignored else ""
        return f"{len(self)} images of {len(self.classes)} classes in {self.tree.root}{ignored}"
