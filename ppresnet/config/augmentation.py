"""One entry of `data.augment`: a mapping with `name`, checked against the augmentation of that name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from ppresnet.config.values import FrozenMapping, expected
from ppresnet.errors import did_you_mean


def _augmentation(value: object) -> FrozenMapping:
    """Return the entry with every default written out, so that a stored config does not depend on them."""
    from ppresnet.pixels.augment import AUGMENTS

    if not isinstance(value, Mapping):
        raise expected("a mapping with a name, such as {name: random_flip}")
    given = FrozenMapping(value)
    name = given.get("name")
    if not isinstance(name, str) or name not in AUGMENTS:
        remedy = did_you_mean(str(name), AUGMENTS) or f"; expected one of {', '.join(AUGMENTS)}"
        text = f"unknown augmentation '{name}'{remedy}" if "name" in given else "expected a name in each augmentation"
        raise PydanticCustomError("wrong", "{text}", {"text": text})
    chosen = AUGMENTS[name]
    options = {key: item for key, item in given.items() if key != "name"}
    try:
        checked = chosen.model_validate(options, strict=True)
    except ValidationError as error:
        known = [key for key in chosen.model_fields if key != "name"]
        details = [_detail(item, known) for item in error.errors(include_url=False)]
        raise ValidationError.from_exception_data(name, details) from None
    return FrozenMapping({"name": name} | checked.model_dump(exclude={"name"}))


def _detail(item: ErrorDetails, known: list[str]) -> InitErrorDetails:
    """Return the error of one option, with the options it could have been."""
    kind = item["type"]
    context = dict(item.get("ctx", {}))
    if kind == "extra_forbidden":
        return _custom(PydanticCustomError("unknown_option", "unknown option", {"known": known}), item)
    if kind == "value_error":
        return _custom(PydanticCustomError("wrong", "{text}", {"text": str(context["error"])}), item)
    return InitErrorDetails(type=kind, loc=item["loc"], input=item["input"], ctx=context)


def _custom(error: PydanticCustomError, item: ErrorDetails) -> InitErrorDetails:
    return InitErrorDetails(type=error, loc=item["loc"], input=item["input"])


def unfrozen(value: object) -> object:
    """Return frozen mappings and tuples as dicts and lists, the way YAML and JSON have them."""
    if isinstance(value, Mapping):
        return {key: unfrozen(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [unfrozen(item) for item in value]
    return value


Augmentation = Annotated[
    FrozenMapping,
    PlainValidator(_augmentation),
    PlainSerializer(unfrozen),
    WithJsonSchema({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}),
]
