"""The 1,797 scanned digits, 8 x 8 pixels, inside scikit-learn (UCI Optical Recognition of Handwritten Digits)."""

import gzip
import io
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ppresnet.errors import DataError
from ppresnet.pixels import to_channels

if TYPE_CHECKING:
    from ppresnet.config.schema import DataConfig

# The file itself, because `import sklearn.datasets` takes two seconds.
FILE = "sklearn/datasets/data/digits.csv.gz"
HELD_OUT = 4
SPLITS = ("train", "test")


@dataclass(frozen=True, eq=False)
class Digits:
    """Digits of one split.

    Args:
        split: `train` or `test`.
        images: uint8 [images, 8, 8, in_channels].
        labels: int64 [images].
        rows: int64 [images], the row of each in scikit-learn's file.
    """

    split: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]
    classes: tuple[str, ...] = tuple("0123456789")

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        """Names a digit by its row in scikit-learn's file."""
        return f"digits[{self.rows[index]}]"

    def image(self, index: int) -> NDArray[np.uint8]:
        """Gives uint8 [8, 8, in_channels]."""
        image: NDArray[np.uint8] = self.images[index]
        return image

    def describe(self) -> str:
        """Says in one line what was found."""
        return f"{len(self)} digits of 10 classes ({self.split} split of scikit-learn's digits)"


def open_digits(data: "DataConfig", split: str, in_channels: int, num_classes: int) -> Digits:
    """Opens the training or test digits: of each class every fourth, from the first on, is a test digit.

    The values 0 ... 16 become round(v * 255 / 16), halves to even.

    Raises:
        DataError: `data.root` is set, the split is not `train` or `test`, or scikit-learn lacks the file.
    """
    wanted = data.train if split == "train" else data.val
    if wanted not in SPLITS:
        raise DataError(f"data.{split} is '{wanted}'; digits have the splits {' and '.join(SPLITS)}")
    if data.root is not None:
        raise DataError(f"data.root is '{data.root}', but digits come with scikit-learn; set data.root to null")
    table = _table()
    values, labels = table[:, :64].reshape(-1, 8, 8, 1), table[:, 64]
    rows = np.flatnonzero(_held_out(labels) == (wanted == "test"))
    pixels = np.rint(values[rows] * 255 / 16).astype(np.uint8)
    images = np.stack([to_channels(image, in_channels) for image in pixels])
    return Digits(wanted, images, labels[rows], rows)


def _table() -> NDArray[np.int64]:
    try:
        path = metadata.distribution("scikit-learn").locate_file(FILE)
        with gzip.open(str(path), "rb") as file:
            table: NDArray[np.int64] = np.loadtxt(io.BytesIO(file.read()), np.int64, delimiter=",")
        return table
    except (metadata.PackageNotFoundError, OSError) as error:
        raise DataError(f"scikit-learn's {FILE} cannot be read ({error}); install scikit-learn 1.4 or newer") from error


def _held_out(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Marks the 0th, 4th, 8th, ... digit of each class."""
    held: NDArray[np.bool_] = np.zeros(len(labels), bool)
    for label in range(10):
        held[np.flatnonzero(labels == label)[::HELD_OUT]] = True
    return held
