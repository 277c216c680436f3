"""Work of other settings is kept aside, below `earlier/`, and put back when these settings are asked for again."""

from __future__ import annotations

from pathlib import Path

from ppresnet.errors import RequestError
from ppresnet.files.durable import storage_errors, sync_folder

EARLIER = "earlier"


def name_aside(name: str, key: str) -> str:
    """Return where the folder of a step goes, below that of the run."""
    return f"{EARLIER}/{name}-{key[:12]}"


def move(path: Path, target: Path) -> None:
    """Rename a file or a folder, if it is there.

    Raises:
        RequestError: something else has that name.
        StorageError: it could not be renamed.
    """
    if not path.exists():
        return
    if target.exists():
        raise RequestError(f"{path} cannot be moved to {target}, which exists; move that away")
    with storage_errors(target, "move"):
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        sync_folder(target.parent)
        sync_folder(path.parent)
