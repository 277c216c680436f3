"""Which part of a network a layer or a parameter belongs to."""

from __future__ import annotations

from collections.abc import Iterable

ALL = "all"
NUMBERED = ("stages", "transitions")  # attributes of networks that are lists of parts


def part_of(name: str) -> str:
    """Return the part of a structured name: `stages.1` for `stages.1.0.conv.weight`, `head` for `head.fc.weight`."""
    first, *rest = name.split(".")
    return f"{first}.{rest[0]}" if first in NUMBERED and rest else first


def totals(amounts: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return the sums over each part, and over `all`, of amounts by structured name."""
    found: dict[str, float] = {}
    for name, amount in amounts:
        for part in (part_of(name), ALL):
            found[part] = found.get(part, 0.0) + amount
    return found
