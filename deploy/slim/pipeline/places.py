"""Paths in the result of a step: relative in its file, so that a run folder can be moved; absolute for its readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

PLACES = frozenset(("checkpoint", "file", "last", "output", "plan"))


def relative(result: Any, folder: Path) -> Any:
    """Return a result without the folder in its paths, and what lies elsewhere from the root on.

    Args:
        result: JSON data.
        folder: of the run; absolute.
    """

    def shortened(key: str, text: str) -> str:
        path = Path(text).absolute() if key in PLACES else Path(text)
        if path.is_absolute() and path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
        return str(path) if key in PLACES else text

    return _mapped(result, shortened)


def absolute(result: Any, folder: Path) -> Any:
    """Return what `relative` took, with the paths of a folder that may be another one by now."""
    return _mapped(result, lambda key, text: str(folder / text) if key in PLACES else text)


def _mapped(data: Any, change: Callable[[str, str], str], key: str = "") -> Any:
    """Return JSON data with its strings changed; each goes with the last key above it."""
    if isinstance(data, dict):
        return {name: _mapped(item, change, name) for name, item in data.items()}
    if isinstance(data, list):
        return [_mapped(item, change, key) for item in data]
    return change(key, data) if isinstance(data, str) else data
