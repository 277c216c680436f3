"""The verdict on figures that nobody measured."""

from typing import Any

import pytest
from bench.pruned import judge, parse


def rows(faster: float, ratio: float) -> dict[str, dict[str, Any]]:
    return {"macs": {"times_as_fast": (faster, 0.0, 9.0)}, "latency": {"ratio": ratio}}


def test_each_figure_is_judged() -> None:
    assert judge(rows(1.6, 0.55)) == judge(rows(2.0, 0.65)) == []
    assert judge(rows(1.55, 0.6)) == ["50% of the MACs: expected 1.6 times as fast, found 1.55"]
    for missed in (0.53, 0.67):
        assert judge(rows(1.6, missed)) == [f"a latency of 60%: expected it within 10%, found {missed:.1%}"]


def test_fewer_than_thirty_rounds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--rounds", "29"])
    assert "expected at least 30, found 29" in capsys.readouterr().err
