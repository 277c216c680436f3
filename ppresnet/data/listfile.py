"""A text file of `path label` lines; the label is the last field, so paths may contain spaces."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ppresnet.data.images import ImageFiles
from ppresnet.data.tree import FolderTree, Tree, open_tree
from ppresnet.errors import DataError
from ppresnet.pixels import BrokenImage

if TYPE_CHECKING:
    from ppresnet.config.schema import DataConfig

CLASS_FILES = ("classes.txt", "labels.txt")


def open_list(data: "DataConfig", split: str, in_channels: int, num_classes: int) -> ImageFiles:
    """Opens the images of a list; the list and the paths in it are relative to `data.root`.

    Class names are the lines of `classes.txt` or `labels.txt` beside the list, else '0', '1', ... up to the model's.

    Raises:
        DataError: the list or a file in it is missing, a line cannot be understood, or a label is outside the classes.
    """
    tree = open_tree(data.root, data.format)
    where = data.train if split == "train" else data.val
    lists, name = _place(tree, where)
    classes = _classes(lists, name) or tuple(str(label) for label in range(num_classes))
    entries = _parse(_text(lists, name, f"data.{split}"), where, len(classes))
    if missing := tree.missing(path for path, _ in entries):
        raise DataError(f"{where} names {len(missing)} files that are not in {tree.root}: {', '.join(missing[:5])}")
    labels = np.array([label for _, label in entries], np.int64)
    return ImageFiles(tree, [path for path, _ in entries], labels, classes, in_channels)


def _place(tree: Tree, where: str) -> tuple[Tree, str]:
    path = Path(where)
    return (FolderTree(path.parent), path.name) if path.is_absolute() else (tree, path.as_posix())


def _text(tree: Tree, name: str, key: str) -> str:
    if tree.missing([name]):
        raise DataError(f"{key}: there is no list file '{name}' in {tree.root}; give its path relative to data.root")
    try:
        return tree.read(name).decode("utf-8-sig")
    except (UnicodeDecodeError, BrokenImage) as error:
        raise DataError(f"{tree.root}/{name} cannot be read as UTF-8 text: {error}") from error


def _classes(tree: Tree, list_name: str) -> tuple[str, ...]:
    for file in CLASS_FILES:
        name = (Path(list_name).parent / file).as_posix()
        if not tree.missing([name]):
            return tuple(line.strip() for line in _text(tree, name, name).splitlines() if line.strip())
    return ()


def _parse(text: str, where: str, num_classes: int) -> list[tuple[str, int]]:
    lines = text.split("\n")
    entries = [_entry(line, f"{where}, line {at}", num_classes) for at, line in enumerate(lines, 1) if line.strip()]
    if not entries:
        raise DataError(f"{where} lists no images; expected lines of `path label`")
    return entries


def _entry(line: str, place: str, num_classes: int) -> tuple[str, int]:
    fields = line.strip().rsplit(maxsplit=1)
    if len(fields) != 2 or not fields[1].isascii() or not fields[1].isdigit():
        raise DataError(f"{place}: expected `path label` with a whole number as label, found '{line.strip()[:200]}'")
    path, label = fields[0], int(fields[1])
    if label >= num_classes:
        raise DataError(f"{place}: label {label} is outside 0 ... {num_classes - 1}; see model.num_classes")
    if path.startswith("/") or ".." in path.split("/"):
        raise DataError(f"{place}: '{path}' leaves data.root; paths must be relative to it, without '..'")
    return path, label
