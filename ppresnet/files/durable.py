"""Bytes that are on the disk when the call returns, and the one error a failed write becomes."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ppresnet.errors import StorageError

_REMEDIES = {
    errno.ENOSPC: "free some space there, or choose another folder",
    errno.EDQUOT: "free some of your quota, or choose another folder",
    errno.EFBIG: "raise the file size limit (ulimit -f), or choose another file system",
    errno.EACCES: "check the permissions, or choose another folder",
    errno.EPERM: "check the permissions, or choose another folder",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EIO: "the disk reports a fault; choose another one",
}


@contextmanager
def storage_errors(path: Path, action: str = "write") -> Iterator[None]:
    """Turn an OSError of the body into a StorageError that names the path, the reason and the remedy."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "no errno")
        place = f" at {error.filename}" if error.filename and str(error.filename) != str(path) else ""
        remedy = _REMEDIES.get(error.errno or 0, "check the disk and the folder")
        raise StorageError(f"cannot {action} {path}: {error.strerror or error} ({name}){place}; {remedy}") from error


def write_synced(path: Path, data: bytes) -> None:
    """Create `path` with `data` and fsync it; an existing file is an OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Fsync a file that another writer closed."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Fsync a folder, so that the names in it last; file systems that cannot do this are left to themselves."""
    try:
        sync_file(path)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def sync_tree(path: Path) -> None:
    """Fsync every file below `path`, then every folder from the deepest up, then `path`."""
    entries = sorted(path.rglob("*"), reverse=True)
    for entry in entries:
        if entry.is_file():
            sync_file(entry)
    for folder in [entry for entry in entries if entry.is_dir()] + [path]:
        sync_folder(folder)


def make_folder(path: Path) -> None:
    """Create `path` and its missing parents, each fsynced into its own parent."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)
