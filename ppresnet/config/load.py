"""Reading a recipe: its `_base_` files below it, the `-o` overrides above it, all problems in one error."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ppresnet.config.check import resolve
from ppresnet.config.explain import shown
from ppresnet.config.schema import RunConfig
from ppresnet.config.tree import Entry, entry_of, plain
from ppresnet.config.yaml12 import parse


def load(path: str | os.PathLike[str], overrides: Iterable[str] = ()) -> RunConfig:
    """Return the recipe at `path` with its bases and the overrides applied.

    Args:
        path: a YAML file; `_base_` in it is a path or a list of paths relative to it.
        overrides: `a.b=value` each, the value as YAML; a later one wins.

    Raises:
        ConfigError: naming every problem, each with the file and line or the override it comes from.
    """
    return resolve(*layers_of(path, overrides))


def layers_of(path: str | os.PathLike[str], overrides: Iterable[str] = ()) -> tuple[list[Entry], list[str]]:
    """Return what `resolve` takes: the bases, the file and the overrides in order, and what was wrong in reading them.

    Args:
        path: as for `load`; the keys may be those of another kind of recipe.
        overrides: as for `load`.
    """
    recipe = _Recipe()
    layers = recipe.layers(Path(path), f"{path}", ())
    for override in overrides:
        layers += _override(override, recipe.problems)
    return layers, recipe.problems


def from_dict(values: Mapping[str, Any], source: str = "", overrides: Iterable[str] = ()) -> RunConfig:
    """Return the config of plain values, such as those a checkpoint stores.

    Args:
        values: the recipe as nested mappings.
        source: named in front of every problem when given.
        overrides: as for `load`.

    Raises:
        ConfigError: naming every problem.
    """
    problems: list[str] = []
    layers = [entry_of(values, source)]
    for override in overrides:
        layers += _override(override, problems)
    return resolve(layers, problems)


class _Recipe:
    """Reads a file and everything below it once, noting problems."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._read: dict[Path, Entry | None] = {}

    def layers(self, path: Path, where: str, above: tuple[Path, ...]) -> list[Entry]:
        """Return the entries of a file after those of its bases; `above` are the files that lead to it."""
        real = Path(os.path.realpath(path))
        if real in above:
            circle = " -> ".join(str(step) for step in (*above[above.index(real) :], real))
            self.problems.append(f"{where}: '_base_' goes in a circle: {circle}")
            return []
        if real not in self._read:
            self._read[real] = self._entry(path, where, is_base=bool(above))
        entry = self._read[real]
        if entry is None or not isinstance(entry.value, dict):
            return [] if entry is None else [entry]
        own = dict(entry.value)
        bases = self._bases(own.pop("_base_", None))
        below = [layer for name, place in bases for layer in self.layers(path.parent / name, place, (*above, real))]
        return [*below, Entry(own, entry.where)]

    def _entry(self, path: Path, where: str, is_base: bool) -> Entry | None:
        name = os.path.normpath(path)
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self.problems.append(f"{name}: not UTF-8 text (byte {error.start})")
            return None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            subject = f"'_base_': cannot read {name}" if is_base else "cannot read this recipe"
            self.problems.append(f"{where}: {subject}: {reason}")
            return None
        entry, problems = parse(text, lambda line: f"{name}:{line}")
        self.problems += problems
        return Entry({}, f"{name}:1") if entry is not None and entry.value is None else entry

    def _bases(self, entry: Entry | None) -> list[tuple[str, str]]:
        if entry is None:
            return []
        listed = entry.value if isinstance(entry.value, tuple) else (entry,)
        names = [(item.value, item.where) for item in listed if isinstance(item.value, str) and item.value]
        if len(names) < len(listed):
            found = shown(plain(entry))
            self.problems.append(f"{entry.where}: '_base_': expected a path or a list of paths, found {found}")
        return names


def _override(text: str, problems: list[str]) -> list[Entry]:
    """Return the layer of one `a.b=value`, or nothing and the problem."""
    where = f"-o {text}"
    name, equals, value = text.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        problems.append(f"{where}: expected key=value with a key such as optim.lr")
        return []
    entry, found = parse(value, lambda line: where)
    problems += found
    if entry is None:
        return []
    for key in reversed(keys):
        entry = Entry({key: entry}, where)
    return [entry]
