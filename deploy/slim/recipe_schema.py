"""The JSON schema of slim recipes, for editors: python -m deploy.slim.recipe_schema writes configs/slim/schema.json.

Source: JSON Schema 2020-12; an editor finds it by `# yaml-language-server: $schema=...` in a recipe's first line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from deploy.slim.recipe_keys import SlimConfig
from ppresnet.config import json_schema
from ppresnet.config.editor import write_schema

FILE = Path(__file__).resolve().parents[2] / "configs" / "slim" / "schema.json"


def slim_schema() -> dict[str, Any]:
    """Return the schema of a slim recipe file; `finetune` has the keys of a run recipe."""
    schema = SlimConfig.model_json_schema()
    run = json_schema()
    described = schema["properties"]["finetune"]["description"]
    schema["properties"]["finetune"] = {"description": described, "$ref": "../schema.json"}
    for section in schema["$defs"].values():
        section["description"] = section["description"].partition("\n")[0]
    schema["properties"] = {"_base_": run["properties"]["_base_"]} | schema["properties"]
    return {"$schema": run["$schema"]} | schema


def schema_text() -> str:
    """Return the schema as the bytes of `configs/slim/schema.json`."""
    return json.dumps(slim_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(write_schema(FILE, schema_text()))
