"""Sentences for what is wrong in a recipe: where, what was expected, what was found, what was meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from ppresnet.config.schema import RunConfig
from ppresnet.config.tree import Entry, Path, dotted, find

_EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a string",
    "string_too_short": "a string that is not empty",
    "string_pattern_mismatch": "letters, digits, '_', '-' and '.', not starting with '-' or '.'",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "greater_than": "a value above {gt}",
    "greater_than_equal": "a value of at least {ge}",
    "less_than": "a value below {lt}",
    "less_than_equal": "a value of at most {le}",
    "literal_error": "{expected}",
    "expected": "{expected}",
}


def shown(value: object) -> str:
    """Return a value the way a message names it: its type where YAML could mislead."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"the string '{value}'"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, (list, tuple)) else repr(value)


def at(where: str, text: str) -> str:
    """Return the sentence with its place in front, when there is one."""
    return f"{where}: {text}" if where else text


def sentence(error: ErrorDetails, tree: Entry) -> str:
    """Return one pydantic error as a sentence that starts with the place of the value in `tree`."""
    path: Path = error["loc"]
    context = error.get("ctx", {})
    kind = error["type"]
    if kind == "unknown_option":
        *parents, option = path
        sibling = {name: dotted((*parents, name)) for name in context["known"]}
        close = get_close_matches(str(option), list(sibling), n=1)
        remedy = f"; did you mean '{sibling[close[0]]}'?" if close else f"; expected one of {', '.join(sibling)}"
        return at(_place(path, (), tree), f"unknown key '{dotted(path)}'{remedy}")
    if kind == "extra_forbidden":
        return at(_place(path, (), tree), unknown_key(path, _model_at(path[:-1]).model_fields))
    if kind in ("wrong", "conflict"):
        text = context["text"]
    elif kind == "missing":
        text = "required and not given"
    elif kind in _EXPECTED:
        text = f"expected {_EXPECTED[kind].format(**context)}, found {shown(error['input'])}"
    else:
        text = f"{error['msg']}, found {shown(error['input'])}"
    return at(_place(path, context.get("others", ()), tree), f"'{dotted(path)}': {text}")


def _place(path: Path, others: tuple[Path, ...], tree: Entry) -> str:
    """Return where the value stands, else where a key it clashes with stands, else its nearest ancestor."""
    for candidate in (path, *others):
        entry, written = find(tree, candidate)
        if written:
            return entry.where
    return find(tree, path)[0].where


def unknown_key(path: Path, siblings: Mapping[str, Any], root: type[BaseModel] = RunConfig) -> str:
    """Return the sentence for a key that the schema does not have, with the full path of the one that was meant."""
    parents, key = path[:-1], str(path[-1])
    if key == "_base_":
        return f"'{dotted(path)}': '_base_' is allowed only at the top level of a file"
    elsewhere = {str(known[-1]): dotted(known) for known in _keys(root)}
    here = {name: dotted((*parents, name)) for name in siblings}
    for known in (here, elsewhere):
        close = get_close_matches(key, list(known), n=1)
        if close:
            return f"unknown key '{dotted(path)}'; did you mean '{known[close[0]]}'?"
    return f"unknown key '{dotted(path)}'; expected one of {', '.join(here.values())}"


def _model_at(path: Path) -> type[BaseModel]:
    """Return the section, or the kind of the list's elements, at a path."""
    model: type[BaseModel] = RunConfig
    for key in path:
        if isinstance(key, str):
            annotation: Any = model.model_fields[key].annotation
            model = next(iter(get_args(annotation)), annotation)
    return model


@cache
def _keys(root: type[BaseModel]) -> tuple[Path, ...]:
    def below(model: type[BaseModel], path: Path) -> Iterator[Path]:
        for name, field in model.model_fields.items():
            yield (*path, name)
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from below(field.annotation, (*path, name))

    return tuple(below(root, ()))
