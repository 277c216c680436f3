"""The verdict on losses that nobody measured, and what is read from a journal."""

import json
from pathlib import Path

import pytest
from bench.degradation import ROOT, curve, draw, judge, last_loss, parse, training

from ppresnet.config import load

GOOD = {"plain20": [1.0, 1.1], "plain56": [1.3, 1.2], "resnet20": [0.90, 0.95], "resnet56": [0.96, 0.97]}


def journal(folder: Path, losses: list[float]) -> Path:
    folder.mkdir()
    lines = [
        json.dumps({"kind": "train", "step": 10 * (number + 1), "epoch": number // 2, "loss": loss})
        for number, loss in enumerate(losses)
    ]
    lines.insert(2, json.dumps({"kind": "eval", "step": 20, "epoch": 1, "loss": 9.0}))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_losses_within_the_spread_of_the_seeds_are_accepted() -> None:
    assert judge(GOOD) == []


def test_a_deep_plain_network_that_is_better_is_no_degradation() -> None:
    assert judge(GOOD | {"plain56": [1.0, 1.0]}) == ["plain: expected 56 layers above 1.0500 of 20, found 1.0000"]


def test_a_deep_residual_network_that_is_worse_than_the_spread_is_refused() -> None:
    found = judge(GOOD | {"resnet56": [0.98, 0.98]})
    assert found == ["residual: expected 56 layers at 0.9750 or below, found 0.9800"]


def test_the_last_epoch_is_what_counts(tmp_path: Path) -> None:
    run = journal(tmp_path / "run", [4.0, 3.0, 2.0, 1.0])
    assert curve(run) == [(10, 4.0), (20, 3.0), (30, 2.0), (40, 1.0)]
    assert last_loss(run, epochs=2) == 1.5


def test_the_curves_are_drawn(tmp_path: Path) -> None:
    runs = {"plain20": [journal(tmp_path / name, [4.0, 3.0, 2.0, 1.0]) for name in ("a", "b")]}
    draw(runs, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["set #2", "a: b", "[1]", "größe \N{SNOWMAN}", 'said "so"'])
def test_any_name_of_the_data_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    network = next(path.stem for path in (ROOT / "configs" / "cifar10").glob("plain*.yaml"))
    found = training(network, 0, parse(["--data", str(tmp_path / name), "--output", "x"]))
    assert load(found.recipe, found.overrides).data.root == str(tmp_path / name)


def test_data_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--output", "x"])
    assert "--data" in capsys.readouterr().err
