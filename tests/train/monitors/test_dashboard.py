"""The dashboard asks for nothing that a run does not tell, and a run tells nothing undescribed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from watched_run import Watched, metric_names

from ppresnet.train.monitors.prometheus import BY_PART, HELP

FOLDER = Path(__file__).parents[3] / "deploy" / "monitoring"


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    return dict(json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8")))


def expressions(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_every_metric_of_the_dashboard_is_told_by_a_run(dashboard: dict[str, Any], watched: Watched) -> None:
    asked = metric_names(json.dumps(dashboard))
    assert asked <= metric_names(re.sub("#.*", "", watched.textfile))
    assert len(asked) >= 15


def test_every_metric_of_a_run_is_described_and_shown(dashboard: dict[str, Any], watched: Watched) -> None:
    told = metric_names(re.sub("#.*", "", watched.textfile))
    assert told <= set(HELP)
    assert set(HELP) - told == {"ppresnet_eval_map"}  # images with several labels
    assert told - metric_names(json.dumps(dashboard)) == {"ppresnet_eval_epoch"}


def test_legends_use_labels_that_are_there(dashboard: dict[str, Any]) -> None:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            (first, *_) = metric_names(target["expr"])
            by_part = first.removeprefix("ppresnet_") in BY_PART
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) == ({"run", "part"} if by_part else {"run"})


def test_every_query_is_for_the_chosen_runs_and_source(dashboard: dict[str, Any]) -> None:
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard))) == variables == {"source", "run"}
    for expression in expressions(dashboard):
        assert expression.count('{run=~"$run"}') == len(re.findall(r"ppresnet_", expression))
    for panel in dashboard["panels"]:
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${source}"} for source in sources)


def test_panels_have_their_own_place(dashboard: dict[str, Any]) -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in dashboard["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_prometheus_is_told_where_to_look() -> None:
    text = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    jobs = {job["job_name"]: job for job in yaml.safe_load(text)["scrape_configs"]}
    port = re.search(r"log\.prometheus_port=(\d+)", text)
    assert port is not None
    assert jobs["ppresnet"]["static_configs"] == [{"targets": [f"localhost:{port[1]}"]}]
