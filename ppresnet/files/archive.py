"""Zip files read member by member, without extraction and without trust."""

import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from ppresnet.errors import DataError

MAX_MEMBERS = 2_000_000
_MAX_RATIO, _RATIO_FROM = 200, 1 << 20
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x1 | 0x40
# All that zipfile raises on hostile input; NotImplementedError is a RuntimeError, UnicodeDecodeError a ValueError.
_BROKEN = (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error, struct.error)


def safe_member(name: str) -> str:
    """Return `name` if it is a plain relative path.

    Raises:
        DataError: it is empty or absolute, has a drive, a backslash, a NUL or a `..` part.
    """
    if not name or name[0] == "/" or name[1:2] == ":" or "\\" in name or "\0" in name or ".." in name.split("/"):
        raise DataError(f"unsafe member name {name!r}; expected a relative path without '..', backslash or drive")
    return name


def open_zip(path: str | Path, *, max_members: int = MAX_MEMBERS) -> "Archive":
    """Open a zip file and check every member's name and kind.

    Raises:
        DataError: it is no zip file, holds an unsafe, encrypted, linked or repeated member, or more than `max_members`.
    """
    archive = Archive(path, max_members)
    archive.members()
    return archive


class Archive:
    """A checked zip file; it pickles as its path, and every process opens it for itself on first use."""

    def __init__(self, path: str | Path, max_members: int = MAX_MEMBERS) -> None:
        self.path = Path(path)
        self.max_members = max_members
        self._pid = 0
        self._file: zipfile.ZipFile | None = None
        self._infos: dict[str, zipfile.ZipInfo] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the open file."""
        return {**self.__dict__, "_pid": 0, "_file": None, "_infos": {}}

    def members(self) -> list[str]:
        """Return the names of all files in the archive, in its order, folders left out.

        Raises:
            DataError: as `open_zip`.
        """
        self._open()
        return list(self._infos)

    def read(self, name: str, limit_bytes: int) -> bytes:
        """Return the content of one member, of at most `limit_bytes`.

        Raises:
            DataError: no such member, it is too large, compressed beyond reason, or broken.
        """
        file = self._open()
        info = self._infos.get(name)
        if info is None:
            raise DataError(f"{self.path} has no member {name!r}")
        if info.file_size > limit_bytes:
            raise DataError(f"{self.path}: {name} unpacks to {info.file_size} bytes, at most {limit_bytes} are allowed")
        if info.file_size > max(_RATIO_FROM, _MAX_RATIO * info.compress_size):
            raise DataError(f"{self.path}: {name} is packed more than {_MAX_RATIO}-fold, as decompression bombs are")
        try:
            with file.open(info) as stream:
                data = stream.read(limit_bytes + 1)
        except _BROKEN as error:
            raise DataError(f"{self.path}: {name} cannot be read: {error}; copy the archive again") from error
        if len(data) != info.file_size:
            raise DataError(f"{self.path}: {name} unpacks to {len(data)} bytes, expected {info.file_size}")
        return data

    def close(self) -> None:
        """Close the file in this process; the next use opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> zipfile.ZipFile:
        # A forked child shares the parent's file offset, so it must open a file of its own.
        if self._file is None or self._pid != os.getpid():
            try:
                file = zipfile.ZipFile(self.path)
            except _BROKEN as error:
                raise DataError(f"{self.path} cannot be opened as a zip file: {error}") from error
            try:
                self._infos = self._check(file.infolist())
            except BaseException:
                file.close()
                raise
            self._file, self._pid = file, os.getpid()
        return self._file

    def _check(self, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        if len(infos) > self.max_members:
            raise DataError(f"{self.path} has {len(infos)} members, at most {self.max_members} are allowed")
        seen: set[str] = set()
        for info in infos:
            problem = _problem(info)
            plain = "/".join(part for part in info.filename.split("/") if part not in ("", "."))
            if plain in seen:
                problem = "appears twice"
            seen.add(plain)
            if problem:
                raise DataError(f"{self.path}: {info.filename!r} {problem}; pack the files again with a plain zip tool")
        return {info.filename: info for info in infos if not info.is_dir()}


def _problem(info: zipfile.ZipInfo) -> str:
    try:
        safe_member(info.orig_filename)
    except DataError as error:
        return f"is refused: {error}"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in _METHODS:
        return f"uses compression method {info.compress_type}, expected stored or deflated"
    return ""
