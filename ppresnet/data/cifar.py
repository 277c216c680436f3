"""CIFAR-10 and CIFAR-100, *binary version* (https://www.cs.toronto.edu/~kriz/cifar.html); never the pickled one."""

import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ppresnet.data.tree import open_tree
from ppresnet.errors import DataError
from ppresnet.pixels import BrokenImage, to_channels

if TYPE_CHECKING:
    from ppresnet.config.schema import DataConfig

PIXELS = 3 * 32 * 32
MAX_BYTES = 256 * 2**20
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Layout:
    """One record is `label_bytes` bytes, the last of them the label, then 1024 red, 1024 green and 1024 blue values."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    label_bytes: int
    num_classes: int
    names_file: str
    names: tuple[str, ...]

    def files(self, split: str) -> tuple[str, ...]:
        """Gives the files of `train` or `test`."""
        return self.train if split == "train" else self.test


LAYOUTS = {
    "cifar10": Layout(
        tuple(f"data_batch_{n}.bin" for n in range(1, 6)), ("test_batch.bin",), 1, 10, "batches.meta.txt", CIFAR10
    ),
    "cifar100": Layout(
        ("train.bin",), ("test.bin",), 2, 100, "fine_label_names.txt", tuple(str(label) for label in range(100))
    ),
}


class Cifar:
    """One split of CIFAR; the pixels are read on first use in each process and are left out of a pickle."""

    def __init__(self, root: Path, layout: Layout, split: str, in_channels: int) -> None:
        self.root, self.layout, self.split, self.in_channels = root, layout, split, in_channels
        records, names = _read_split(root, layout, split)
        self.labels: NDArray[np.int64] = records[:, layout.label_bytes - 1].astype(np.int64)
        if self.labels.max() >= layout.num_classes:
            raise DataError(f"{root}: label {self.labels.max()} found; expected 0 ... {layout.num_classes - 1}")
        self.classes = names if len(names) == layout.num_classes else layout.names
        self._pixels: NDArray[np.uint8] | None = records[:, layout.label_bytes :]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pixels": None}

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        """Names an image by its place in the split."""
        return f"{self.root.name}:{self.split}[{index}]"

    def image(self, index: int) -> NDArray[np.uint8]:
        """Gives uint8 [32, 32, in_channels]."""
        if self._pixels is None:
            self._pixels = _read_split(self.root, self.layout, self.split)[0][:, self.layout.label_bytes :]
        return to_channels(self._pixels[index].reshape(3, 32, 32).transpose(1, 2, 0), self.in_channels)

    def describe(self) -> str:
        """Says in one line what was found."""
        return f"{len(self)} images of {len(self.classes)} classes in {self.root} ({self.split} split)"


def open_cifar(data: "DataConfig", split: str, in_channels: int, num_classes: int) -> Cifar:
    """Opens CIFAR in a folder, a .zip or a .tar.gz as it was downloaded; nothing is unpacked to disk.

    Raises:
        DataError: files are missing or have the wrong size, or the split is not `train` or `test`.
    """
    wanted = data.train if split == "train" else data.val
    if wanted not in ("train", "test"):
        raise DataError(f"data.{split} is '{wanted}'; {data.format} has the splits train and test")
    if data.root is None:
        raise DataError(f"data.root is null, but data.format '{data.format}' needs a folder, .zip or .tar.gz")
    return Cifar(Path(data.root).expanduser(), LAYOUTS[data.format], wanted, in_channels)


def _read_split(root: Path, layout: Layout, split: str) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Reads uint8 [images, label_bytes + 3072] from the split's files, in their order, and the class names if there."""
    wanted, size = layout.files(split), layout.label_bytes + PIXELS
    try:
        contents = _read_files(root, {*wanted, layout.names_file})
    except BrokenImage as error:
        raise DataError(f"{root} is damaged: {error}") from error
    if absent := [name for name in wanted if name not in contents]:
        raise DataError(
            f"{root} lacks {', '.join(absent)}; expected the *binary version* of CIFAR, not the pickled one"
        )
    for name in wanted:
        if not contents[name] or len(contents[name]) % size:
            raise DataError(f"{root}: {name} has {len(contents[name])} bytes; expected a multiple of {size}")
    records = np.concatenate([np.frombuffer(contents[name], np.uint8).reshape(-1, size) for name in wanted])
    return records, tuple(contents.get(layout.names_file, b"").decode("utf-8", "replace").split())


def _read_files(root: Path, wanted: set[str]) -> dict[str, bytes]:
    """Reads the wanted files, wherever below the root they are, by their last name."""
    if root.name.endswith((".tar.gz", ".tgz", ".tar")) and root.is_file():
        return _read_tar(root, wanted)
    tree = open_tree(str(root), "cifar")
    top = [name for name in sorted(wanted) if not tree.missing([name])]
    below = [name for folder in tree.folders("") for name in tree.files(folder)]
    found = {PurePosixPath(name).name: name for name in [*below, *top]}
    return {name: tree.read(found[name]) for name in wanted & found.keys()}


def _read_tar(path: Path, wanted: set[str]) -> dict[str, bytes]:
    contents = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                file = archive.extractfile(member) if name in wanted and member.isreg() else None
                if file is not None and member.size <= MAX_BYTES:
                    contents[name] = file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} cannot be read as a tar archive: {error}; copy it again") from error
    return contents
