"""Names of tensors and layers when whole blocks are gone."""

from __future__ import annotations

import re
from collections.abc import Iterable


def name_left(name: str, drop: Iterable[str]) -> str | None:
    """Return the name of a tensor or layer without the dropped blocks: blocks behind one move up; None inside one."""
    dropped = frozenset(drop)
    return None if _inside(name, dropped) else _moved(name, dropped)


def _inside(name: str, drop: frozenset[str]) -> bool:
    return any(name.startswith(f"{block}.") for block in drop)


def _moved(name: str, drop: frozenset[str]) -> str:
    match = re.match(r"(.*?\d+)\.(\d+)\.", name) if drop else None
    if match is None:
        return name
    stage, index = match[1], int(match[2])
    before = sum(block.rpartition(".")[0] == stage and int(block.rpartition(".")[2]) < index for block in drop)
    return f"{stage}.{index - before}{name[match.end() - 1 :]}"
