"""YAML 1.2 core scalars, and every value's line: `on` is a string, `1e-4` a number, a key given twice a problem.

Source: YAML 1.2.2, section 10.3 (core schema). PyYAML alone follows YAML 1.1, where `on` is true and `1e-4` a string.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

import yaml

from ppresnet.config.tree import Entry, Path, dotted

Place: TypeAlias = Callable[[int], str]
Scalar: TypeAlias = bool | int | float | str | None

_TAG = "tag:yaml.org,2002:"
_MOST_LEVELS = 100  # Python's own limit is for all of a process, and libraries raise it
_MOST_VALUES = 100_000  # aliases can make a small file stand for more values than memory holds

_CORE = (
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", r"true|True|TRUE|false|False|FALSE", tuple("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", tuple("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        tuple("-+.0123456789"),
    ),
)


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    table: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for name, pattern, firsts in _CORE:
        for first in firsts:
            table.setdefault(first, []).append((_TAG + name, re.compile(rf"(?:{pattern})\Z")))
    return table


class CoreLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2; it gives nodes, `parse` gives values."""

    yaml_implicit_resolvers = _resolvers()
    _level = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node and those in it, to a limited depth."""
        if self._level >= _MOST_LEVELS:
            raise _TooMuchError
        self._level += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._level -= 1
        return node


class CoreDumper(yaml.SafeDumper):
    """PyYAML's safe dumper, quoting exactly the strings that `CoreLoader` would read as something else."""

    yaml_implicit_resolvers = _resolvers()

    def ignore_aliases(self, data: object) -> bool:
        """Write equal values out each time: a recipe has no anchors."""
        return True

    def text(self, text: str) -> yaml.ScalarNode:
        """Quote with escapes what PyYAML takes for a line break and would read back as another character."""
        style = '"' if any(character in text for character in "\x85\u2028\u2029") else None
        return self.represent_scalar(_TAG + "str", text, style=style)


CoreDumper.add_representer(str, CoreDumper.text)


def parse(text: str, place: Place) -> tuple[Entry | None, list[str]]:
    """Return the value of a YAML text (None when it is not YAML) and every problem met.

    Args:
        text: one YAML document; an empty one is null.
        place: names a line (counted from 1) in messages and in `Entry.where`.
    """
    try:
        node = CoreLoader(text).get_single_node()
        walk = _Walk(place)
        entry = Entry(None, place(1)) if node is None else walk.entry(node, (), _line(node))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        return None, [f"{place(mark.line + 1 if mark else 1)}: not valid YAML: {reason}"]
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return None, [f"{place(line)}: not valid YAML: the character {int(error.character):#x} is not allowed"]
    except _TooMuchError:
        limits = f"expected at most {_MOST_LEVELS} levels and {_MOST_VALUES} values"
        return None, [f"{place(1)}: nested too deeply, or aliases stand for too much; {limits}"]
    return entry, walk.problems


class _TooMuchError(Exception):
    """The document expands to more values than a recipe can have."""


class _Walk:
    """Turns nodes into entries and notes the problems on the way."""

    def __init__(self, place: Place) -> None:
        self.problems: list[str] = []
        self._place = place
        self._values = 0

    def entry(self, node: yaml.Node, path: Path, line: int) -> Entry:
        self._values += 1
        if self._values > _MOST_VALUES or len(path) > _MOST_LEVELS:
            raise _TooMuchError
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return Entry(self._mapping(node, path), self._place(line))
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            items = (self.entry(item, (*path, index), _line(item)) for index, item in enumerate(node.value))
            return Entry(tuple(items), self._place(line))
        return Entry(self._scalar(node, line), self._place(line))

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            if key_node.tag != _TAG + "str":
                self._problem(line, f"a key must be a string, found {key_node.value!r}; quote it")
                continue
            key = key_node.value
            if key in entries:
                self._problem(line, f"duplicate key '{dotted((*path, key))}', first given on line {first[key]}")
            first.setdefault(key, line)
            entries[key] = self.entry(value_node, (*path, key), line)
        return entries

    def _scalar(self, node: yaml.Node, line: int) -> Scalar:
        convert = _CONVERT.get(node.tag)
        if convert is None:
            self._problem(line, f"the tag {node.tag!r} is not allowed; expected plain values")
            return None
        try:
            return convert(node.value)
        except (ValueError, KeyError, AttributeError, TypeError):
            self._problem(line, f"{node.value!r} is not a valid {node.tag.removeprefix(_TAG)}")
            return None

    def _problem(self, line: int, text: str) -> None:
        self.problems.append(f"{self._place(line)}: {text}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _integer(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text, base)


def _number(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_CONVERT: dict[str, Callable[[str], Scalar]] = {
    _TAG + "null": lambda text: None,
    _TAG + "bool": lambda text: {"true": True, "false": False}[text.lower()],
    _TAG + "int": _integer,
    _TAG + "float": _number,
    _TAG + "str": str,
}
