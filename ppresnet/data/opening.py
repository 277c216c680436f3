"""The one function that opens any data set."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from ppresnet.data.cifar import open_cifar
from ppresnet.data.digits import open_digits
from ppresnet.data.folder import open_folder
from ppresnet.data.kept import KeptImages
from ppresnet.data.listfile import open_list
from ppresnet.data.source import Source
from ppresnet.errors import DataError
from ppresnet.pixels import Preprocess

if TYPE_CHECKING:
    from ppresnet.config.schema import DataConfig

MEBIBYTE = 1024 * 1024

Split = Literal["train", "val"]
Opener = Callable[["DataConfig", Split, int, int], Source]
FORMATS: dict[str, Opener] = {
    "digits": open_digits,
    "folder": open_folder,
    "list": open_list,
    "cifar10": open_cifar,
    "cifar100": open_cifar,
}


def open_split(data: "DataConfig", split: Split, *, in_channels: int, num_classes: int) -> Source:
    """Opens the training or the validation images of a recipe and checks all that can be checked without decoding.

    Raises:
        DataError: something is missing, empty or mislabelled, or the classes are not `num_classes`.
    """
    if data.format not in FORMATS:
        raise DataError(f"data.format '{data.format}' does not hold images; expected one of {', '.join(FORMATS)}")
    try:
        source = FORMATS[data.format](data, split, in_channels, num_classes)
    except OSError as error:
        raise DataError(f"the {split} images in data.root '{data.root}' cannot be read: {error}") from error
    found = len(source.classes)
    if found != num_classes:
        shown = ", ".join(source.classes[:10]) + (", ..." if found > 10 else "")
        raise DataError(
            f"expected {num_classes} classes (model.num_classes), found {found}: {shown}; "
            f"set model.num_classes to {found} or correct the data set ({source.describe()})"
        )
    return KeptImages(source, data.cache_mb * MEBIBYTE) if data.cache_mb else source


def preprocess_of(data: "DataConfig", in_channels: int) -> Preprocess:
    """Takes the evaluation path of a recipe from its `data` section.

    Raises:
        ValueError: mean, std and channels, or resize and input_size, do not agree.
    """
    return Preprocess(
        input_size=data.input_size, in_channels=in_channels, mean=data.mean, std=data.std, resize=data.resize
    )
