"""Class folders: `root/<split>/<class>/**/<image>`, in a folder or a zip; classes in alphabetical order."""

from typing import TYPE_CHECKING

import numpy as np

from ppresnet.data.images import ImageFiles
from ppresnet.data.tree import Tree, open_tree
from ppresnet.errors import DataError
from ppresnet.pixels import SUFFIXES, is_image

if TYPE_CHECKING:
    from ppresnet.config.schema import DataConfig


def open_folder(data: "DataConfig", split: str, in_channels: int, num_classes: int) -> ImageFiles:
    """Opens the class folders of one split; the other split, where it exists, must have the same classes.

    Files directly in the split folder, hidden files and other suffixes than images' are counted, not read.

    Raises:
        DataError: no such folder, no class folders, a class without images, or classes that differ between the splits.
    """
    tree = open_tree(data.root, data.format)
    folder, other = (data.train, data.val) if split == "train" else (data.val, data.train)
    folder, other = folder.rstrip("/"), other.rstrip("/")
    classes = _classes(tree, folder)
    if not classes:
        there = ", ".join(tree.folders("")[:10]) or "none"
        raise DataError(f"{tree.root} has no class folders in '{folder}' (data.{split}); its own folders: {there}")
    _check_same(tree, folder, classes, other)
    names, known = tree.files(folder), set(classes)
    images = [name for name in names if is_image(name) and _class_of(name, folder) in known]
    _check_filled(tree, folder, classes, images)
    index = {name: label for label, name in enumerate(classes)}
    labels = np.array([index[_class_of(name, folder)] for name in images], np.int64)
    return ImageFiles(tree, images, labels, classes, in_channels, ignored=len(names) - len(images))


def _classes(tree: Tree, folder: str) -> tuple[str, ...]:
    return tuple(name for name in tree.folders(folder) if not name.startswith("."))


def _class_of(name: str, folder: str) -> str:
    """Gives the class folder of a file, or '' for one that lies in none."""
    first, _, rest = name[len(folder) + 1 :].partition("/")
    return first if rest else ""


def _check_same(tree: Tree, folder: str, classes: tuple[str, ...], other: str) -> None:
    """Labels are positions in the alphabet, so one class more or less in a split would shift all after it."""
    theirs = _classes(tree, other)
    if theirs and theirs != classes:
        raise DataError(
            f"{tree.root}: the splits need the same class folders; only in '{folder}': "
            f"{_some(set(classes) - set(theirs))}; only in '{other}': {_some(set(theirs) - set(classes))}"
        )


def _check_filled(tree: Tree, folder: str, classes: tuple[str, ...], images: list[str]) -> None:
    filled = {_class_of(name, folder) for name in images}
    if empty := set(classes) - filled:
        raise DataError(
            f"{tree.root}/{folder}: no images in class folders {_some(empty)}; expected {' '.join(sorted(SUFFIXES))}"
        )


def _some(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:10]) or "none"
    return f"{shown}, ..." if len(names) > 10 else shown
