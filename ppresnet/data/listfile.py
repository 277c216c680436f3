"""A text file of `path label` lines; the label is the last field, so paths may contain spaces.

With `data.multi_label` that field is `0,3,7`, or `-` for an image of no class.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ppresnet.data.images import ImageFiles
from ppresnet.data.tree import FolderTree, Tree, open_tree
from ppresnet.errors import DataError
from ppresnet.pixels import BrokenImage

if TYPE_CHECKING:
    from ppresnet.config.schema import DataConfig

Entry = tuple[str, tuple[int, ...]]

CLASS_FILES = ("classes.txt", "labels.txt")
_ONE = "`path label` with a whole number as label"


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
    entries = _parse(_text(lists, name, f"data.{split}"), where, len(classes), data.multi_label)
    if missing := tree.missing(path for path, _ in entries):
        raise DataError(f"{where} names {len(missing)} files that are not in {tree.root}: {', '.join(missing[:5])}")
    labels = [found for _, found in entries]
    several = _indicators(labels, len(classes)) if data.multi_label else np.array([one for (one,) in labels], np.int64)
    return ImageFiles(tree, [path for path, _ in entries], several, classes, in_channels)


def _indicators(labels: Sequence[Sequence[int]], num_classes: int) -> NDArray[np.int64]:
    found = np.zeros((len(labels), num_classes), np.int64)
    for row, several in zip(found, labels, strict=True):
        row[list(several)] = 1
    return found


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


def _parse(text: str, where: str, num_classes: int, several: bool) -> list[Entry]:
    lines = [(f"{where}, line {at}", line) for at, line in enumerate(text.split("\n"), 1) if line.strip()]
    entries = [_entry(line, place, num_classes, several) for place, line in lines]
    if not entries:
        raise DataError(f"{where} lists no images; expected lines of `path label`")
    return entries


def _entry(line: str, place: str, num_classes: int, several: bool) -> Entry:
    parts = line.strip().rsplit(maxsplit=1)
    path, field = parts if len(parts) == 2 else ("", "")
    fields = [] if several and field == "-" else field.split(",")
    if not all(one.isascii() and one.isdigit() for one in fields):
        labels = "`path 0,3,7` or `path -` with whole numbers as labels" if several else _ONE
        raise DataError(f"{place}: expected {labels}, found '{line.strip()[:200]}'")
    if len(fields) > 1 and not several:
        raise DataError(f"{place}: found {len(fields)} labels, '{field}'; expected one, or data.multi_label: true")
    found = tuple(map(int, fields))
    if outside := [label for label in found if label >= num_classes]:
        raise DataError(f"{place}: label {outside[0]} is outside 0 ... {num_classes - 1}; see model.num_classes")
    if path.startswith("/") or ".." in path.split("/"):
        raise DataError(f"{place}: '{path}' leaves data.root; paths must be relative to it, without '..'")
    return path, found
