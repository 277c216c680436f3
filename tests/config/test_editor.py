"""The committed JSON schema is fresh, and complete enough for an editor."""

import json
from pathlib import Path

import pytest

from ppresnet.config import RunConfig, json_schema
from ppresnet.config.__main__ import main
from ppresnet.config.editor import schema_text
from ppresnet.spec import MODELS

COMMITTED = Path(__file__).parents[2] / "configs" / "schema.json"


def test_the_committed_schema_is_fresh() -> None:
    remedy = "write it again: python -m ppresnet.config --schema configs/schema.json"
    assert COMMITTED.read_text(encoding="utf-8") == schema_text(), remedy


def test_the_command_writes_it(tmp_path: Path) -> None:
    target = tmp_path / "schema.json"
    assert main(["--schema", str(target)]) == 0
    assert json.loads(target.read_text(encoding="utf-8")) == json_schema()


def test_the_command_reports_what_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["--schema", str(tmp_path / "file" / "schema.json")]) in (1, 2)
    assert "file" in capsys.readouterr().err


def test_it_has_every_key_and_forbids_others() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == {"_base_", *RunConfig.model_fields}
    assert schema["additionalProperties"] is False
    for section in schema["$defs"].values():
        assert section["additionalProperties"] is False
        assert all("description" in key for key in section["properties"].values())


def test_names_can_be_completed() -> None:
    sections = json_schema()["$defs"]
    assert sections["ModelConfig"]["properties"]["name"]["enum"] == list(MODELS)
    choices = sections["DataConfig"]["properties"]["augment"]["items"]["oneOf"]
    assert {"random_crop", "random_flip"} <= {choice["properties"]["name"]["const"] for choice in choices}
    assert all("name" in choice["required"] for choice in choices)
