"""What the schema knows but this version cannot do yet: asked for, it is refused by name and never ignored.

A feature that arrives takes its line away, or adds its value to the line.
"""

from __future__ import annotations

AVAILABLE: dict[str, tuple[object, ...]] = {
    "data.format": ("digits", "folder", "list", "cifar10", "cifar100"),
}
