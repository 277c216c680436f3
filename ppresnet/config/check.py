"""From layers of entries to a RunConfig, or to every problem they have."""

from __future__ import annotations

from collections.abc import Iterable
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ppresnet.config.explain import at, sentence, shown, unknown_key
from ppresnet.config.schema import RunConfig
from ppresnet.config.tree import Entry, Path, dotted, merge, plain
from ppresnet.errors import ConfigError

Schema = TypeVar("Schema", bound=BaseModel)


def resolve(
    layers: Iterable[Entry],
    problems: Iterable[str] = (),
    schema: type[Schema] = RunConfig,  # type: ignore[assignment]
) -> Schema:
    """Return the config of layers, each laid over those before it.

    Args:
        layers: mappings of entries; a later one wins.
        problems: what was wrong while reading them.
        schema: the keys of this kind of recipe.

    Raises:
        ConfigError: with `problems` and everything that is wrong in the layers, each problem once.
    """
    reading = list(problems)
    found = list(reading)
    tree = Entry({}, "")
    for layer in layers:
        tree = merge(tree, _known(layer, schema, schema, (), found))
    config, wrong = _validate(tree, schema, whole=not reading)
    found += wrong
    if config is None or found:
        raise ConfigError(*dict.fromkeys(found))
    return config


def _known(entry: Entry, model: type[BaseModel], root: type[BaseModel], path: Path, problems: list[str]) -> Entry:
    """Return a layer without what the schema does not have; a later layer must not hide an earlier one's mistake."""
    if not isinstance(entry.value, dict):
        label = f"'{dotted(path)}': " if path else ""
        problems.append(at(entry.where, f"{label}expected a mapping of keys, found {shown(plain(entry))}"))
        return Entry({}, entry.where)
    known: dict[str, Entry] = {}
    for key, item in entry.value.items():
        field = model.model_fields.get(key)
        if field is None:
            problems.append(at(item.where, unknown_key((*path, key), model.model_fields, root)))
        elif (section := _section(field.annotation, item)) is not None:
            known[key] = _known(item, section, root, (*path, key), problems)
        else:
            known[key] = item
    return Entry(known, entry.where)


def _section(annotation: object, item: Entry) -> type[BaseModel] | None:
    """Return the schema of a section, or of one that may be null and is not."""
    optional = item.value is not None and get_origin(annotation) in (Union, UnionType)
    kinds = get_args(annotation) if optional else (annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _validate(tree: Entry, schema: type[Schema], whole: bool) -> tuple[Schema | None, list[str]]:
    """Return the config or the problems: of single values, and between the values that are right.

    When something could not be read (`whole` is false), keys that clash may do so only for want of it.
    """
    values = {name: plain(item) for name, item in tree.value.items()}
    try:
        return schema.model_validate(values), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    wrong = {item["loc"][:2] for item in errors if item["type"] != "conflict"}
    if wrong:
        errors += [item for item in _conflicts(values, schema, wrong) if not wrong.intersection(_involved(item))]
    return None, [sentence(item, tree) for item in errors if whole or not item.get("ctx", {}).get("others")]


def _conflicts(values: dict[str, Any], schema: type[BaseModel], wrong: set[Path]) -> list[ErrorDetails]:
    """Return what clashes between the values that are left when the wrong ones have their defaults."""
    rest = {
        name: {key: item for key, item in part.items() if (name, key) not in wrong} if isinstance(part, dict) else part
        for name, part in values.items()
        if (name,) not in wrong
    }
    try:
        schema.model_validate(rest)
    except ValidationError as error:
        return [item for item in error.errors(include_url=False) if item["type"] == "conflict"]
    return []


def _involved(item: ErrorDetails) -> set[Path]:
    return {tuple(item["loc"]), *(tuple(other) for other in item["ctx"]["others"])}
