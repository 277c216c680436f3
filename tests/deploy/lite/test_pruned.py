"""A pruned network of odd widths and zero channels goes the same way to the board as any other."""

import json
from pathlib import Path

import export
import pytest
from tiny_network import tiny_checkpoint

from deploy.lite import convert
from deploy.slim.cutting import cut
from deploy.slim.grouping import channel_graph
from deploy.slim.planner import plan_of
from ppresnet import cli
from ppresnet.bundle import read_bundle
from ppresnet.checkpoint import Store
from ppresnet.checkpoint.state import spec_of_checkpoint


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a network without the first channel of every group."""
    folder, whole = tmp_path_factory.mktemp("pruned"), tiny_checkpoint()
    graph = channel_graph(spec_of_checkpoint(whole))
    keep = {group.name: tuple(range(1, group.units)) for group in graph}
    step = Store(folder / "checkpoints").save(cut(whole, plan_of(whole, graph, keep), graph), 7)
    assert cli.run(export.main, export.parse(["--checkpoint", str(step), "--output", str(folder / "bundle")])) == 0
    return folder / "bundle"


@pytest.mark.parametrize("target", ["x86", "arm"])
def test_a_pruned_network_is_converted_with_parity(python: Path, pruned: Path, target: str, tmp_path: Path) -> None:
    arguments = ["--model", str(pruned), "--output", str(tmp_path / "board"), "--target", target]
    result = tmp_path / "result.json"
    assert cli.run(convert.main, convert.parse([*arguments, "--json", str(result)])) == 0
    found = json.loads(result.read_text())
    assert {row["status"] for row in found["parity"]} == {"ok"}
    assert max(row["rel_diff"] for row in found["parity"]) <= 1e-4
    spec = read_bundle(pruned).deploy.spec
    assert spec["stem"]["width"] == 3
