"""Names are printed as they are, whatever rich would read into them."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import benchmark_show
import bundle_show
import eval_show
import export_show
import infer
import pytest

from ppresnet import cli

ODD = ("crane [bird]", "[/]", "[red]", ":cat:", "a\\[b]")


def latency(name: str) -> list[dict[str, Any]]:
    row = dict.fromkeys(benchmark_show.COLUMNS)
    return [{**row, "backend": name, "precision": "fp32", "status": "ok", "batch": 1, "threads": 1}]


def changed(name: str) -> dict[str, Any]:
    return {"same": False, "labels": [{"path": "0", "before": name, "after": "b"}]}


SHOWS: dict[str, Callable[[str], None]] = {
    "infer": lambda name: infer._show([{"file": f"{name}.png", "labels": ["x"], "scores": [1.0]}]),
    "infer labels": lambda name: infer._show([{"file": "a.png", "labels": [name], "scores": [1.0]}]),
    "classes": lambda name: eval_show.show_classes([{"class": name, "top1": 1.0}], "title"),
    "title": lambda name: eval_show.show_classes([{"class": "x", "top1": 1.0}], name),
    "confusion": lambda name: eval_show.show_confusion([name], [[1]]),
    "bundles": lambda name: bundle_show.show_difference(changed(name)),
    "latencies": lambda name: benchmark_show.show(latency(name), "title"),
    "notes": lambda name: export_show.show(SimpleNamespace(name="x", parity=()), [name]),  # type: ignore[arg-type]
    "console": lambda name: cli.console().print(name),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("show", SHOWS.values(), ids=SHOWS)
def test_names_are_printed_as_they_are(
    show: Callable[[str], None], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show(name)
    assert name in capsys.readouterr().out
