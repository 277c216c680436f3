"""What every command does with its result."""

import argparse
import json
from pathlib import Path

import pytest

from ppresnet import cli
from ppresnet.errors import CheckFailedError


@pytest.mark.parametrize("result", [{"top1": 50.0}, None])
def test_what_a_failed_check_has_found_is_written(tmp_path: Path, result: cli.Result) -> None:
    def main(_: argparse.Namespace) -> cli.Result:
        raise CheckFailedError("expected 60 %, found 50 %", result)

    file = tmp_path / "result.json"
    assert cli.run(main, cli.parser("A check.").parse_args(["--json", str(file)])) == 3
    assert (json.loads(file.read_text()) if file.exists() else None) == result
