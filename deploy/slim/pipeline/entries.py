"""What is known of each step, as a small JSON that is replaced whole after every change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ppresnet.errors import RequestError
from ppresnet.files import atomic_write


class Entry(BaseModel):
    """What is known of a step.

    Attributes:
        key: sha256 of its settings and inputs.
        products: sha256 of its result and of what later steps read, by path below the journal's folder; empty while it
            runs.
        seconds: that it took, the last time it ran.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    products: dict[str, str] = {}
    seconds: float = 0.0


def read_entries(path: Path) -> dict[str, Entry]:
    """Return the entries of a journal by step; none where there is no such file.

    Raises:
        RequestError: the file is no journal.
    """
    if not path.exists():
        return {}
    try:
        steps = json.loads(path.read_bytes())["steps"]
        return {name: Entry.model_validate(entry) for name, entry in steps.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ValidationError) as error:
        raise RequestError(f"{path} is no journal ({error}); move it away, or choose another --output") from error


def write_entries(path: Path, entries: Mapping[str, Entry]) -> None:
    """Write a journal.

    Raises:
        StorageError: it could not be written; the old one is untouched.
    """
    steps = {name: each.model_dump() for name, each in entries.items()}
    atomic_write(path, json.dumps({"schema_version": 1, "steps": steps}, indent=1) + "\n")
