"""Which part of a network a layer or a parameter belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

ALL = "all"
NUMBERED = ("stages", "transitions")  # attributes of networks that are lists of parts


def part_of(name: str) -> str:
    """Return the part of a structured name: `stages.1` for `stages.1.0.conv.weight`, `head` for `head.fc.weight`."""
    first, *rest = name.split(".")
    return f"{first}.{rest[0]}" if first in NUMBERED and rest else first


def totals(amounts: Iterable[tuple[str, float]], part: Callable[[str], str] = part_of) -> dict[str, float]:
    """Return the sums over each part, and over `all`, of amounts by structured name.

    Args:
        amounts: name and amount of each layer or parameter.
        part: gives the part that a name belongs to.
    """
    found: dict[str, float] = {}
    for name, amount in amounts:
        for key in (part(name), ALL):
            found[key] = found.get(key, 0.0) + amount
    return found
