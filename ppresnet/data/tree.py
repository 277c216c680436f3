"""A data set's files, read where they are: in a folder or in a zip."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn, Protocol

from ppresnet.errors import DataError
from ppresnet.files import Archive, open_zip
from ppresnet.pixels import MAX_FILE_BYTES, BrokenImage, read_image


class Tree(Protocol):
    """Files under a root; names are relative, with `/` between their parts."""

    @property
    def root(self) -> Path:
        """The folder or the zip."""
        ...

    def folders(self, folder: str) -> list[str]:
        """Lists the names of the folders directly in `folder`, sorted; '' is the root."""
        ...

    def files(self, folder: str) -> list[str]:
        """Lists all files below `folder`, sorted; none when there is no such folder."""
        ...

    def missing(self, names: Iterable[str]) -> list[str]:
        """Lists those of `names` that are not files here."""
        ...

    def read(self, name: str) -> bytes:
        """Reads a file.

        Raises:
            BrokenImage: it is too large, no regular file, or damaged in its zip.
            OSError: the disk fails.
        """
        ...


class FolderTree:
    """Files of a folder; class folders may be links, links to folders below them are listed and not entered."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folders(self, folder: str) -> list[str]:
        """Lists the names of the folders directly in `folder`, sorted."""
        return sorted(entry.name for entry in _entries(self.root / folder) if entry.is_dir())

    def files(self, folder: str) -> list[str]:
        """Lists all files below `folder`, sorted."""
        top = self.root / folder
        names = [f"{folder}/{entry.name}" for entry in _entries(top) if not entry.is_dir()]
        for name in self.folders(folder):
            names.extend(f"{folder}/{name}/{file}" for file in _walk(top / name))
        return sorted(names)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Lists those of `names` that are not files here."""
        return [name for name in names if not (self.root / name).is_file()]

    def read(self, name: str) -> bytes:
        """Reads one regular file of at most 256 MiB."""
        return read_image(self.root / name)


class ZipTree:
    """Files of a zip, read in place; it pickles as the path of the zip."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.root = Path(archive.path)

    def folders(self, folder: str) -> list[str]:
        """Lists the names of the folders directly in `folder`, sorted; '' is the root."""
        prefix = f"{folder}/" if folder else ""
        below = (name[len(prefix) :] for name in self._archive.members() if name.startswith(prefix))
        return sorted({name.split("/", 1)[0] for name in below if "/" in name})

    def files(self, folder: str) -> list[str]:
        """Lists all files below `folder`, sorted."""
        return sorted(name for name in self._archive.members() if name.startswith(f"{folder}/"))

    def missing(self, names: Iterable[str]) -> list[str]:
        """Lists those of `names` that are not files here."""
        present = set(self._archive.members())
        return [name for name in names if name not in present]

    def read(self, name: str) -> bytes:
        """Reads one member of at most 256 MiB."""
        try:
            return self._archive.read(name, MAX_FILE_BYTES)
        except DataError as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from error
            raise BrokenImage(str(error)) from error


def open_tree(root: str | None, data_format: str) -> Tree:
    """Opens `data.root` as a folder or a zip.

    Raises:
        DataError: it is null, does not exist, or is neither a folder nor a zip that can be read.
    """
    if root is None:
        raise DataError(f"data.root is null, but data.format '{data_format}' needs a folder or a zip; set data.root")
    path = Path(root).expanduser()
    if path.is_dir():
        return FolderTree(path)
    if not path.exists():
        raise DataError(f"data.root '{root}' does not exist (looked for {path.absolute()})")
    if path.suffix.lower() != ".zip":
        raise DataError(f"data.root '{root}' is neither a folder nor a .zip file")
    return ZipTree(open_zip(path))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder)) if folder.is_dir() else []
    except OSError as error:
        _unlisted(error)


def _unlisted(error: OSError) -> NoReturn:
    raise DataError(
        f"the folder '{error.filename}' cannot be listed: {error.strerror}; check its permissions"
    ) from error


def _walk(top: Path) -> list[str]:
    names: list[str] = []
    for folder, folders, files in os.walk(top, onerror=_unlisted):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        prefix = "" if folder == str(top) else Path(folder).relative_to(top).as_posix() + "/"
        names.extend(prefix + name for name in files + links)
    return names
