"""Files and folders that appear under their name whole or not at all: written beside, fsynced, renamed."""

import ctypes
import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ppresnet.errors import RequestError
from ppresnet.files.durable import make_folder, storage_errors, sync_folder, sync_tree, write_synced
from ppresnet.files.manifest import MANIFEST, parse_manifest, write_manifest

_LEFTOVER = re.compile(r"\.(?P<name>.+)\.(?P<kind>staging|old)-(?P<pid>[1-9]\d{0,9})-[0-9a-f]{8}")
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
# Names this process is writing now; after a restart in a container the dead writer often had the very same pid.
_active: set[Path] = set()


def atomic_write(path: str | Path, data: bytes | str) -> None:
    """Write a file so that `path` always holds the old content or the new (text as UTF-8).

    A device or a FIFO, such as /dev/null or /dev/stdout, is written to and stays what it is.

    Raises:
        StorageError: it could not be written; the old content is untouched.
    """
    content = data.encode() if isinstance(data, str) else data
    if _is_stream(Path(path)):
        with storage_errors(Path(path)):
            Path(path).write_bytes(content)
        return
    path = Path(path).resolve()
    staging = _beside(path)
    with storage_errors(path), _claimed(staging):
        try:
            make_folder(path.parent)
            write_synced(staging, content)
            staging.replace(path)
            sync_folder(path.parent)
        finally:
            staging.unlink(missing_ok=True)


@contextmanager
def staged_directory(target: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder; when the body ends well it gets a manifest and becomes `target` at once.

    With `replace` an existing folder that ppresnet wrote is swapped out. `target` is looked at before the body and once
    more after it, so that nothing is lost that appeared there meanwhile. Should only the last fsync of the parent fail,
    the new folder stands there complete although the call raises.

    Raises:
        RequestError: `target` exists, or with `replace` holds something that ppresnet did not write.
        StorageError: it could not be written; nothing is left behind and `target` is as before.
    """
    target = Path(target).resolve()
    with storage_errors(target, "read"):
        _check_free(target, replace)
    staging = _beside(target)
    with storage_errors(target), _claimed(staging):
        try:
            make_folder(target.parent)
            staging.mkdir()
            yield staging
            write_manifest(staging)
            sync_tree(staging)
            _check_free(target, replace)
            _put(staging, target, replace)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def expect_apart(target: str | Path, *sources: str | Path) -> None:
    """Check that what will be written, and may be replaced, is not what it is made from.

    Raises:
        RequestError: `target` is one of `sources` or a folder around it.
    """
    whole = Path(target).resolve()
    for source in sources:
        if Path(source).resolve().is_relative_to(whole):
            raise RequestError(f"--output {target} would replace {source}, which is read; choose another folder")


def remove_directory(path: str | Path) -> None:
    """Delete a folder so that a kill leaves it whole or gone: renamed first, then emptied.

    Raises:
        StorageError: it could not be renamed or emptied.
    """
    path = Path(path).absolute()
    doomed = _beside(path)
    with storage_errors(path, "remove"), _claimed(doomed):
        path.rename(doomed)
        sync_folder(path.parent)
        _delete(doomed)


def remove_stale_staging(parent: str | Path) -> list[Path]:
    """Remove what dead processes left in `parent`, put back a folder caught in mid-swap, and return what was found.

    Raises:
        StorageError: a leftover could not be removed.
    """
    parent = Path(parent).resolve()
    found = []
    with storage_errors(parent, "clean"):
        for path in sorted(parent.iterdir()) if parent.is_dir() else []:
            match = _LEFTOVER.fullmatch(path.name)
            if match is None or path in _active or _alive(int(match["pid"])):
                continue
            found.append(path)
            with suppress(FileNotFoundError):
                if match["kind"] == "old" and not (parent / match["name"]).exists():
                    path.rename(parent / match["name"])
                else:
                    _delete(path)
    return found


def _is_stream(path: Path) -> bool:
    # Before links are resolved: what /dev/stdout stands for may have no name, such as `pipe:[123]`.
    return path.exists() and not path.is_file() and not path.is_dir()


def _beside(path: Path, kind: str = "staging") -> Path:
    return path.parent / f".{path.name}.{kind}-{os.getpid()}-{secrets.token_hex(4)}"


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    _active.add(path)
    try:
        yield
    finally:
        _active.discard(path)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _check_free(target: Path, replace: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not replace:
        raise RequestError(f"{target} exists already; choose another folder or remove it")
    manifest = target / MANIFEST
    if not manifest.is_file():
        raise RequestError(f"{target} was not written by ppresnet (it has no {MANIFEST}); choose another folder")
    listed = parse_manifest(manifest.read_bytes())
    if listed is None:
        raise RequestError(
            f"{target} holds a {MANIFEST} that ppresnet did not write, or that was altered; choose another folder, "
            "or remove this one first"
        )
    present = {path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir()}
    if foreign := sorted(present - listed.keys() - {MANIFEST}):
        raise RequestError(f"{target} holds {foreign[0]}, which ppresnet did not write; move it away first")


def _put(staging: Path, target: Path, replace: bool) -> None:
    if not replace or not target.exists():
        # Atomic and harmless: a rename fails where something that is not an empty folder has appeared meanwhile.
        try:
            staging.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise RequestError(f"{target} was written by another process meanwhile; choose another folder") from error
    elif not _exchange(staging, target):
        old = _beside(target, "old")
        with _claimed(old):
            target.rename(old)
            try:
                staging.rename(target)
            except OSError:
                old.rename(target)
                raise
            sync_folder(target.parent)
            shutil.rmtree(old, ignore_errors=True)
    sync_folder(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step with renameat2 (Linux 3.15, glibc 2.28); False where that does not exist."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(other))
