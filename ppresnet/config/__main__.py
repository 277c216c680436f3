"""`python -m ppresnet.config --schema FILE` writes the JSON schema that editors use."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ppresnet.config.editor import schema_text, write_schema


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the schema and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ppresnet.config", description="write the JSON schema of recipes")
    parser.add_argument("--schema", metavar="FILE", type=Path, required=True, help="such as configs/schema.json")
    return write_schema(parser.parse_args(arguments).schema, schema_text())


if __name__ == "__main__":
    sys.exit(main())
