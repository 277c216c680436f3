"""The blocks of a trained network from the command line."""

import json
from pathlib import Path

from PIL import Image

from tests.tools.conftest import Tool


def test_blocks_are_told_and_drawn(tool: Tool, digits_run: Path, tmp_path: Path) -> None:
    wanted = ("--json", tmp_path / "flow.json", "--picture", tmp_path / "flow.png", "--images", 100)
    done = tool("analyze.py", "--checkpoint", digits_run, *wanted)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "flow.json").read_text())
    assert [block["block"] for block in found["blocks"]] == [f"stages.{s}.{b}" for s in range(3) for b in range(3)]
    assert found["top1"] > 50.0 and found["images"] == 100
    assert "stages.2.2" in done.stdout and "added / carried" in done.stdout
    with Image.open(tmp_path / "flow.png") as picture:
        assert picture.format == "PNG"


def test_a_wrong_number_of_images(tool: Tool, digits_run: Path) -> None:
    done = tool("analyze.py", "--checkpoint", digits_run, "--images", 0)
    assert (done.returncode, "--images: expected 1 or more, found 0" in done.stderr) == (2, True)
