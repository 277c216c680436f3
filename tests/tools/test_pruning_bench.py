"""The verdict on accuracies that nobody measured."""

from pathlib import Path
from typing import Any

import pytest
from bench.pruning import OURS, RULES, Cut, judge, parse, tunings


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
