"""The core schema of YAML 1.2.2, section 10.3.2, as a table written from the specification."""

import math
import sys

import pytest
import yaml

from ppresnet.config.tree import plain
from ppresnet.config.yaml12 import CoreDumper, CoreLoader, parse

SCALARS = [
    ("on", "on"),
    ("off", "off"),
    ("yes", "yes"),
    ("No", "No"),
    ("y", "y"),
    ("true", True),
    ("False", False),
    ("TRUE", True),
    ("tRUE", "tRUE"),
    ("null", None),
    ("~", None),
    ("", None),
    ("nil", "nil"),
    ("0", 0),
    ("-19", -19),
    ("+12", 12),
    ("010", 10),
    ("0o14", 12),
    ("0x3A", 58),
    ("-0x3A", "-0x3A"),
    ("0b11", "0b11"),
    ("1_000", "1_000"),
    ("1:30", "1:30"),
    ("2020-01-02", "2020-01-02"),
    ("1e-4", 1e-4),
    ("1E4", 1e4),
    ("12e03", 12e03),
    ("-2E+05", -2e5),
    ("0.", 0.0),
    (".5", 0.5),
    ("-0.0", -0.0),
    (".inf", math.inf),
    ("-.Inf", -math.inf),
    (".", "."),
    ("1.2.3", "1.2.3"),
    ("e5", "e5"),
    ("=", "="),
    ("'1e-4'", "1e-4"),
    ("!!str 1e-4", "1e-4"),
    ("!!float 1", 1.0),
]


def value(text: str) -> object:
    entry, problems = parse(text, lambda line: f"f:{line}")
    assert entry is not None and not problems
    return plain(entry)


@pytest.mark.parametrize(("text", "expected"), SCALARS)
def test_scalars_follow_the_core_schema(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected and type(found) is type(expected)


def test_nan_is_a_number() -> None:
    found = value(".nan")
    assert isinstance(found, float) and math.isnan(found)


def test_the_table_differs_from_yaml_1_1() -> None:
    assert yaml.safe_load("on") is True and yaml.safe_load("1e-4") == "1e-4"


@pytest.mark.parametrize(
    "text", [text for text, _ in SCALARS if text] + ["1e5", "null", "0x1", " a", "#", "ü", "a\x85b", "\u2028", "\r\n"]
)
def test_strings_that_look_like_something_else_are_quoted(text: str) -> None:
    written = yaml.dump([text], Dumper=CoreDumper, allow_unicode=True)
    assert value(written) == [text]


def test_loader_is_a_safe_loader_with_core_scalars() -> None:
    assert yaml.load("[on, 1e-4]", Loader=CoreLoader) == ["on", 1e-4]  # noqa: S506


def test_every_key_and_item_knows_its_line() -> None:
    entry, _ = parse("a:\n  b: 1\n  c:\n    - 2\n    - 3\n", lambda line: f"f:{line}")
    assert entry is not None
    section = entry.value["a"]
    assert section.where == "f:1"
    assert section.value["b"].where == "f:2"
    assert [item.where for item in section.value["c"].value] == ["f:4", "f:5"]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: 1\nb: 2\na: 3\n", ["f:3: duplicate key 'a', first given on line 1"]),
        ("a:\n  b: 1\n  b: 2\n", ["f:3: duplicate key 'a.b', first given on line 2"]),
        ("a: [{b: 1,\n  b: 2}]\n", ["f:2: duplicate key 'a[0].b', first given on line 1"]),
        ("x: 0\n1: 2\n", ["f:2: a key must be a string, found '1'; quote it"]),
        ("a: !!python/name:os.system\n", ["f:1: the tag 'tag:yaml.org,2002:python/name:os.system' is not allowed"]),
        ("a: !!python/object/apply:os.system [ls]\n", ["f:1: the tag 'tag:yaml.org,2002:python/object/apply:os"]),
        ("a: !!int x\n", ["f:1: 'x' is not a valid int"]),
        ("a: !!bool on\n", ["f:1: 'on' is not a valid bool"]),
        ("a: 1\nb: [1, 2\n", ["f:3: not valid YAML: while parsing a flow sequence"]),
        ("a: 1\n---\nb: 2\n", ["f:2: not valid YAML: expected a single document"]),
        ("a: 1\nb: \x00\n", ["f:2: not valid YAML: the character 0x0 is not allowed"]),
        ("a: &x [*x]\n", ["f:1: nested too deeply"]),
        ("[" * 2000, ["f:1: nested too deeply"]),
    ],
)
def test_problems_name_their_line(text: str, problems: list[str]) -> None:
    _, found = parse(text, lambda line: f"f:{line}")
    assert len(found) == len(problems)
    for sentence, start in zip(found, problems, strict=True):
        assert sentence.startswith(start)


def test_aliases_that_explode_are_refused() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]
    entry, problems = parse("\n".join(lines), lambda line: f"f:{line}")
    assert entry is None and "100000 values" in problems[0]


def test_a_merge_key_is_an_ordinary_key() -> None:
    assert value("<<: {a: 1}") == {"<<": {"a": 1}}


def test_a_higher_limit_of_python_changes_nothing() -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)  # as PaddleSlim does when it is imported
    try:
        assert parse("[" * 2000, str)[1][0].startswith("1: nested too deeply")
        assert parse("[" * 99 + "]" * 99, str)[1] == []
    finally:
        sys.setrecursionlimit(before)
