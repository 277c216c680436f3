"""What changed between two bundles, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from ppresnet import cli

_SHOWN = 12


def show_difference(found: Mapping[str, Any]) -> None:
    """Print the changes, the first dozen of each kind."""
    console = cli.console()
    if found["same"]:
        console.print("the bundles are the same")
        return
    table = Table("what", "where", "before", "after", "relative difference")
    for kind, changes in found.items():
        if not isinstance(changes, list):
            continue
        for one in changes[:_SHOWN]:
            relative = one.get("rel_diff")
            shown = "" if relative is None else f"{relative:.1e}"
            table.add_row(
                kind, one.get("path") or one.get("tensor") or "", _cell(one["before"]), _cell(one["after"]), shown
            )
        if len(changes) > _SHOWN:
            table.add_row(kind, f"and {len(changes) - _SHOWN} more, see --json", "", "", "")
    console.print(table)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
