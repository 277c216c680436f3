"""The verdict on accuracies that nobody measured."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from bench.pruning import OURS, RULES, Cut, judge, parse, step, tunings
from tiny_network import save_tiny

from ppresnet.errors import RequestError

ROOT = Path(__file__).resolve().parents[2]


def rows(before: float, after: list[float]) -> list[dict[str, Any]]:
    ours = {"rule": OURS, "before": before, "after": after}
    theirs = [{"rule": rule, "before": 80.0, "after": [85.0, 85.2]} for rule in RULES if rule != OURS]
    return [{**row, "share": share} for share in (0.7, 0.5) for row in (ours, *theirs)]


def test_ahead_by_more_than_the_spread_is_accepted() -> None:
    assert judge(rows(80.1, [85.4, 85.5]), 86.4) == []


def test_a_tie_before_fine_tuning_is_not_ahead() -> None:
    assert judge(rows(80.0, [85.4, 85.5]), 86.4) == [
        "-30 % before fine-tuning: expected ours above 80.00 % of PaddleSlim FPGM, found 80.00",
        "-30 % before fine-tuning: expected ours above 80.00 % of PaddleSlim L1, found 80.00",
    ]


def test_ahead_by_less_than_the_spread_is_refused() -> None:
    problems = judge(rows(80.1, [85.0, 85.6]), 86.0)
    assert len(problems) == 2 and problems[1].endswith(
        "expected ours above 85.10 % of PaddleSlim L1 by more than 0.60, found 85.30"
    )


def test_a_loss_of_more_than_a_point_is_refused() -> None:
    assert judge(rows(80.1, [85.4, 85.5]), 86.5) == [
        "-30 % after fine-tuning: expected ours at 85.50 %, found 85.45",
        "-50 % after fine-tuning: expected ours at 85.50 %, found 85.45",
    ]


@pytest.mark.parametrize(("flags", "untaught"), [((), set()), (("--labels-alone",), RULES.keys() - {OURS})])
def test_all_have_a_teacher_unless_that_is_ours_alone(flags: tuple[str, ...], untaught: set[str]) -> None:
    given = ("--checkpoint", "X", "--output", "Y", "-c", "recipe.yaml", "-o", "distill.checkpoint=X")
    wanted = parse([*flags, *given])
    found = {rule: tunings(Cut(rule, 0.5, 0.5, 60.0, Path("Z"), "cut"), wanted) for rule in RULES}
    assert {rule for rule in RULES if "distill.checkpoint=null" in found[rule][0].overrides} == untaught
    assert [training.overrides[-1] for training in found[OURS]] == ["seed=1", "seed=2", "seed=3"]


def test_flags_of_our_plan_are_one_text() -> None:
    given = ["--checkpoint", "X", "--output", "Y", "-c", "recipe.yaml"]
    assert parse([*given, "--plan-flags", "--importance obs --trunk-share 0.5"]).plan_flags == [
        *("--importance", "obs"),
        *("--trunk-share", "0.5"),
    ]
    assert parse(given).plan_flags == []


@pytest.mark.parametrize("wrong", [("--seeds", "1"), ("--seeds", "two"), ("--plan-flags", "'open")])
def test_what_means_nothing_ends_with_2(wrong: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--checkpoint", "X", "--output", "Y", "-c", "recipe.yaml", *wrong])
    assert ended.value.code == 2


@pytest.mark.parametrize("changed", ["base.yaml", "checkpoint"])
def test_answers_about_another_recipe_or_checkpoint_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    base, network, ran = tmp_path / "base.yaml", tmp_path / "network", list[list[str]]()
    base.write_text(f"_base_: {ROOT / 'configs' / 'digits' / 'resnet20.yaml'}\n")
    (tmp_path / "recipe.yaml").write_text("_base_: base.yaml\n")
    save_tiny(network)
    given = ("--checkpoint", network, "--output", tmp_path / "out", "-c", tmp_path / "recipe.yaml")
    wanted, answer = parse([str(word) for word in given]), tmp_path / "out" / "eval.json"

    def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
        answer.write_text(str(len(ran)))
        ran.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    for _ in range(2):
        assert step(wanted, "tools/eval.py", answer, "--checkpoint", network) == 0
    assert len(ran) == 1
    if changed == "checkpoint":
        save_tiny(network, seed=1)
    else:
        base.write_text(f"{base.read_text()}seed: 5\n")
    with pytest.raises(RequestError, match="read another recipe or checkpoint"):
        step(wanted, "tools/eval.py", answer, "--checkpoint", network)
