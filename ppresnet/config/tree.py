"""Entries: the values of a recipe, each with the place it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class Entry:
    """One value and where it stands.

    `value` is a scalar, a tuple of entries or a dict of entries; `where` is `file:line`, `-o key=value` or empty.
    """

    value: Any
    where: str


def entry_of(value: object, where: str) -> Entry:
    """Return plain mappings and sequences as entries that all stand at `where`."""
    if isinstance(value, Mapping):
        return Entry({str(key): entry_of(item, where) for key, item in value.items()}, where)
    if isinstance(value, (list, tuple)):
        return Entry(tuple(entry_of(item, where) for item in value), where)
    return Entry(value, where)


def plain(entry: Entry) -> object:
    """Return the values alone, as dicts, lists and scalars."""
    if isinstance(entry.value, dict):
        return {key: plain(item) for key, item in entry.value.items()}
    if isinstance(entry.value, tuple):
        return [plain(item) for item in entry.value]
    return entry.value


def merge(below: Entry, above: Entry) -> Entry:
    """Return `above` laid over `below`: mappings merge key by key, everything else is replaced."""
    if not (isinstance(below.value, dict) and isinstance(above.value, dict)):
        return above
    merged = dict(below.value)
    for key, item in above.value.items():
        merged[key] = merge(merged[key], item) if key in merged else item
    return Entry(merged, above.where)


def find(entry: Entry, path: Path) -> tuple[Entry, bool]:
    """Return the entry at `path` and True, or its nearest ancestor that was written and False."""
    for part in path:
        inside = dict(enumerate(entry.value)) if isinstance(entry.value, tuple) else entry.value
        if not isinstance(inside, dict) or part not in inside:
            return entry, False
        entry = inside[part]
    return entry, True


def dotted(path: Path) -> str:
    """Return a path as it is written: `data.augment[0].padding`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
