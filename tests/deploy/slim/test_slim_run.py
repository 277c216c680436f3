"""A slim run with the real commands, killed on its way; and the comparison of networks that it ends with."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_network import save_tiny

from deploy.slim import compare
from deploy.slim import cut as cut_command
from deploy.slim import plan as plan_command
from ppresnet import cli
from ppresnet.bundle import read_bundle
from ppresnet.checkpoint import read, resolve
from ppresnet.checkpoint.state import model_of
from ppresnet.models import cost

ROOT = Path(__file__).resolve().parents[3]
RECIPE = ROOT / "configs" / "slim" / "digits_resnet20.yaml"
FIGURES = ("macs", "params", "latency", "top1")


def test_networks_are_measured_side_by_side(tmp_path: Path) -> None:
    whole = save_tiny(tmp_path / "whole")
    planned, result = tmp_path / "plan.json", tmp_path / "result.json"
    for module, arguments in (
        (plan_command, ["--macs", "0.6", "--output", planned, "--importance", "l1"]),
        (cut_command, ["--plan", planned, "--output", tmp_path / "cut", "--recalibrate", "0"]),
        (compare, ["--smaller", tmp_path / "cut", "--rounds", "3", "--batch", "2", "--json", result]),
    ):
        command = ["--checkpoint", str(whole), *map(str, arguments)]
        assert cli.run(module.main, module.parse(command)) == 0
    first, second = json.loads(result.read_text())["rows"]
    for row, path in ((first, whole), (second, resolve(tmp_path / "cut"))):
        model = model_of(read(path))
        assert (row["checkpoint"], row["images"]) == (str(path), 454)
        assert (row["params"], row["macs"]) == (cost(model.spec).params, cost(model.spec).macs)
    assert second["macs"] <= 0.6 * first["macs"]
    assert first["latency_ms"] == second["before_ms"] > 0
    assert second["low"] <= second["ratio"] <= second["high"]


def test_a_precision_that_the_backend_lacks_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(*_: object) -> None:
        raise AssertionError("a network was measured")

    monkeypatch.setattr(compare, "_row", measured)
    whole = str(save_tiny(tmp_path))
    asked = ["--checkpoint", whole, "--smaller", whole, "--backend", "native", "--precision", "bf16"]
    assert cli.run(compare.main, compare.parse(asked)) == 2
    assert "native computes in fp32; 'bf16' would change nothing" in capsys.readouterr().err


def start(folder: Path, result: Path, *overrides: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "deploy.slim.pipeline", "-c", str(RECIPE), "--output", str(folder)]
    arguments = ["--json", str(result), "-o", *overrides]
    return subprocess.Popen([*command, *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_end(tmp_path: Path) -> None:
    folder, result = tmp_path / "run", tmp_path / "result.json"
    short = ("train.epochs=4", "finetune.train.epochs=2", "sensitivity.shares=[0.5]", "latency.rounds=3")
    killed = start(folder, result, *short)
    deadline = time.monotonic() + 300
    while not list((folder / "train" / "checkpoints").glob("step-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    first = sorted(path.name for path in (folder / "train" / "checkpoints").glob("step-*"))
    assert first
    run = start(folder, result, *short)
    told = run.communicate()[1]
    assert run.returncode == 0, told
    assert "resumed from" in told
    figures = json.loads(result.read_text())
    assert {f"{name}_{when}" for name in FIGURES for when in ("before", "after")} <= set(figures)
    assert figures["macs_after"] <= 0.5 * figures["macs_before"]
    assert cost(model_of(read(figures["checkpoint"])).spec).macs == figures["macs_after"]
    assert figures["top1_after"] > figures["top1_before"] - 10
    for name in ("report.md", "report.json", "widths.png", "front.png", "sensitivity/sensitivity.png"):
        assert (folder / name).is_file()
    stamp = (folder / "journal.json").read_bytes()
    again = start(folder, result, *short)
    assert again.communicate()[1].count("done already") == 7
    assert (folder / "journal.json").read_bytes() == stamp


@pytest.mark.slow(drawn=False)  # a whole life of three minutes
def test_the_script_ends_well_with_the_recipe_as_it_stands(tmp_path: Path) -> None:
    script = ["bash", str(ROOT / "deploy" / "slim" / "slim.sh"), "-c", str(RECIPE)]
    subprocess.run([*script, "--output", str(tmp_path / "run"), "--json", str(tmp_path / "found.json")], check=True)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["macs_after"] <= 0.5 * found["macs_before"]
    assert found["top1_before"] > 98
    assert found["top1_after"] >= found["top1_before"] - 1
    for name in ("report.md", "report.json", "widths.png", "front.png", "sensitivity/sensitivity.png"):
        assert (tmp_path / "run" / name).is_file()
    assert read_bundle(tmp_path / "run" / "bundle").formats
