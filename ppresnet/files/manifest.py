"""A manifest lists the size and sha256 of every file of a folder, and carries a sha256 of that list itself."""

import hashlib
import json
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

from ppresnet.errors import CheckpointError, PpresnetError
from ppresnet.files.durable import write_synced

MANIFEST = "manifest.json"
_CHUNK = 1 << 20


def manifest_bytes(contents: Mapping[str, bytes]) -> bytes:
    """Return the manifest of files given as name → content; equal contents give equal bytes."""
    return _encode({name: _entry(len(data), hashlib.sha256(data)) for name, data in contents.items()})


def write_manifest(directory: Path) -> None:
    """Write and fsync `manifest.json` for all files of `directory`; it must hold none yet.

    Raises:
        OSError: a file could not be read or written, or is not a regular file.
    """
    sizes = _sizes(directory)
    write_synced(
        directory / MANIFEST, _encode({name: _entry(size, _digest(directory / name)) for name, size in sizes.items()})
    )


def verify_manifest(directory: Path, error: type[PpresnetError] = CheckpointError) -> None:
    """Check that `directory` holds exactly the listed files, each with its size and sha256.

    Raises:
        error: something is missing, altered, unlisted or unreadable; the message names the file.
    """
    read_verified(directory, error, names=())


def read_verified(
    directory: Path, error: type[PpresnetError] = CheckpointError, names: Collection[str] | None = None
) -> dict[str, bytes]:
    """Verify `directory` and return the content of `names` (default all): the very bytes that were hashed.

    Each file is read once, so nothing can change between the check and the use.

    Raises:
        error: something is missing, altered, unlisted or unreadable; the message names the file.
    """
    try:
        problem, contents = _read(directory, names)
    except OSError as cause:
        raise error(f"{directory} cannot be read: {cause}; check the path and the permissions") from cause
    if problem:
        raise error(f"{directory} is incomplete or altered: {problem}; use another copy or make it again")
    return contents


def _read(directory: Path, names: Collection[str] | None) -> tuple[str, dict[str, bytes]]:
    """Return what is wrong (or '') and the contents asked for."""
    sizes = _sizes(directory)
    if not (directory / MANIFEST).is_file():
        return f"it has no {MANIFEST}", {}
    listed = parse_manifest((directory / MANIFEST).read_bytes())
    if listed is None:
        return f"{MANIFEST} does not match its own sha256", {}
    if missing := sorted(listed.keys() - sizes.keys()):
        return f"{missing[0]} is missing", {}
    if unlisted := sorted(sizes.keys() - listed.keys()):
        return f"{unlisted[0]} is not listed in {MANIFEST}", {}
    contents: dict[str, bytes] = {}
    for name, entry in listed.items():
        if sizes[name] != entry["size"]:
            return f"{name} has {sizes[name]} bytes, expected {entry['size']}", {}
        if names is None or name in names:
            contents[name] = (directory / name).read_bytes()
            digest = hashlib.sha256(contents[name])
        else:
            digest = _digest(directory / name)
        if digest.hexdigest() != entry["sha256"]:
            return f"{name} does not match its sha256", {}
    return "", contents


def parse_manifest(data: bytes) -> dict[str, dict[str, object]] | None:
    """Return the entries of a manifest, or None unless `data` is byte for byte what its entries encode to."""
    try:
        listed = json.loads(data)["files"]
        whole = all(entry.keys() == {"size", "sha256"} for entry in listed.values()) and _encode(listed) == data
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return listed if whole else None


def _encode(entries: Mapping[str, Mapping[str, object]]) -> bytes:
    own = hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
    return (json.dumps({"files": entries, "sha256": own}, indent=1, sort_keys=True) + "\n").encode()


def _entry(size: int, digest: "hashlib._Hash") -> dict[str, object]:
    return {"size": size, "sha256": digest.hexdigest()}


def _digest(path: Path) -> "hashlib._Hash":
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest


def _sizes(directory: Path) -> dict[str, int]:
    """Return size in bytes by posix path below `directory`, the manifest left out; links and devices are refused."""
    sizes = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            sizes[path.relative_to(directory).as_posix()] = status.st_size
        elif not stat.S_ISDIR(status.st_mode):
            raise OSError(f"{path} is a link or a device, expected a regular file")
    sizes.pop(MANIFEST, None)
    return sizes
