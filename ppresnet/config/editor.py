"""The JSON schema of a recipe file, for completion and checks in editors.

Source: JSON Schema 2020-12; an editor finds it by `# yaml-language-server: $schema=...` in a recipe's first line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, get_args

from ppresnet.config.schema import RunConfig
from ppresnet.errors import PpresnetError
from ppresnet.files import atomic_write


def json_schema() -> dict[str, Any]:
    """Return the schema of a recipe file: the keys of `RunConfig`, `_base_`, and every name that can be chosen."""
    from ppresnet.pixels.augment import AUGMENTS
    from ppresnet.spec import MODELS, Activation, Norm

    schema = RunConfig.model_json_schema()
    sections = schema["$defs"]
    model = sections["ModelConfig"]["properties"]
    model["name"]["enum"] = list(MODELS)
    model["act"]["enum"] = list(get_args(Activation))
    model["norm"]["enum"] = list(get_args(Norm))
    sections["DataConfig"]["properties"]["augment"]["items"] = {
        "oneOf": [_augmentation(name, chosen.model_json_schema()) for name, chosen in AUGMENTS.items()]
    }
    path = {"type": "string", "minLength": 1}
    base = {
        "description": "Recipes below this one: a path or a list of paths, relative to this file.",
        "anyOf": [path, {"type": "array", "items": path}],
    }
    schema["properties"] = {"_base_": base} | schema["properties"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def schema_text() -> str:
    """Return the schema as the bytes of `configs/schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def write_schema(target: Path, text: str) -> int:
    """Write the text of a schema and return the exit code; what went wrong is printed."""
    try:
        atomic_write(target, text)
    except PpresnetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _augmentation(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one augmentation's options with its name among them."""
    return schema | {
        "properties": {"name": {"const": name}} | schema.get("properties", {}),
        "required": ["name", *schema.get("required", [])],
    }
