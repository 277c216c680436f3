"""The report of broken images."""

import json
import os
from pathlib import Path

import pytest

from ppresnet.data import Broken, BrokenReport
from ppresnet.errors import DataError


def test_each_image_counts_once_and_the_limit_is_inclusive() -> None:
    report = BrokenReport(0.02, 100)
    for _ in range(3):
        report.add([Broken("b.png", "cut"), Broken("a.png", "empty")])
    assert report.broken == (Broken("a.png", "empty"), Broken("b.png", "cut"))
    with pytest.raises(DataError, match=r"3 of 100 images .* share of 0.02 .*a.png: empty; b.png: cut; c.png: late"):
        report.add([Broken("c.png", "late")])


def test_no_tolerance() -> None:
    report = BrokenReport(0.0, 100)
    report.add([])
    with pytest.raises(DataError, match="1 of 100"):
        report.add([Broken("a", "b")])


def test_written_as_json(tmp_path: Path) -> None:
    report = BrokenReport(0.5, 8)
    report.add([Broken("z/ü.png", "cut"), Broken("a.png", "empty")])
    report.write(tmp_path / "broken.json")
    assert json.loads((tmp_path / "broken.json").read_text(encoding="utf-8")) == {
        "total": 8,
        "limit_share": 0.5,
        "broken": [{"name": "a.png", "reason": "empty"}, {"name": "z/ü.png", "reason": "cut"}],
    }


def test_names_that_are_no_utf8_are_written(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    report = BrokenReport(0.5, 8)
    report.add([Broken(name, f"{name}: cut")])
    report.write(tmp_path / "broken.json")
    (found,) = json.loads((tmp_path / "broken.json").read_bytes())["broken"]
    assert os.fsencode(found["name"]) == b"caf\xe9.png"
