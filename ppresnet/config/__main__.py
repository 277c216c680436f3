"""`python -m ppresnet.config --schema FILE` writes the JSON schema that editors use."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ppresnet.config.editor import schema_text
from ppresnet.errors import PpresnetError
from ppresnet.files import atomic_write


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the schema and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ppresnet.config", description="write the JSON schema of recipes")
    parser.add_argument("--schema", metavar="FILE", type=Path, required=True, help="such as configs/schema.json")
    target = parser.parse_args(arguments).schema
    try:
        atomic_write(target, schema_text())
    except PpresnetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
