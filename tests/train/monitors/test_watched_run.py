"""A run that is watched is the same as one that is not, bit for bit, and no failure of a watcher ends it."""

import json
import socket
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from machine import MACHINE
from visualdl import LogReader
from watched_run import Watched, metric_names, recipe, same_run

from ppresnet.config import from_dict
from ppresnet.errors import ConfigError, RequestError
from ppresnet.train.monitors import choose, gradient_norms
from ppresnet.train.run import train


def silent(_: str) -> None:
    return None


def tags(folder: Path, component: str) -> set[str]:
    file = str(next((folder / "visualdl").glob("vdlrecords*")))
    return {tag.replace("%", "/") for tag in LogReader(file_path=file).get_tags().get(component, [])}


def test_watching_changes_nothing(watched: Watched, plain: Path) -> None:
    same_run(watched.folder, plain)
    assert [line for line in watched.said if "failed" in line] == []


def test_visualdl_has_what_the_recipe_asks_for(watched: Watched) -> None:
    scalars = tags(watched.folder, "scalar")
    assert {"train/loss", "eval/top1", "speed/images_per_second", "run/steps"} <= scalars
    assert {"gradient_norm/stages.2", "gradient_norm/all", "sparsity/stem", "dead_relus/all"} <= scalars
    assert {"weights/head.fc.bias", "gradients/stages.0.0.branch.0.conv.weight"} <= tags(watched.folder, "histogram")
    assert tags(watched.folder, "image") == {"predictions"}
    graph = json.loads(next((watched.folder / "visualdl").glob("vdlgraph*")).read_text())
    convolutions = [node["name"] for node in graph["nodes"] if node["type"] == "conv2d"]
    assert sum("branch" in name for name in convolutions) == 18


def test_the_endpoint_answers_while_the_run_goes_on_and_gives_its_port_back(watched: Watched) -> None:
    assert 'ppresnet_gradient_norm{part="stages.1",run="watched"}' in watched.answers[0]
    assert "ppresnet_train_loss" in watched.answers[-1]
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", watched.port)):
        pass


def test_the_textfile_has_the_last_numbers_and_says_that_the_run_ended(watched: Watched) -> None:
    assert 'ppresnet_run_active{run="watched"} 0.0' in watched.textfile
    assert {"ppresnet_eval_top1", "ppresnet_dead_relus", "ppresnet_train_lr"} <= metric_names(watched.textfile)


def test_the_service_gets_every_number_over_the_step(watched: Watched) -> None:
    first, second, *rest = watched.calls
    assert (first["init"]["project"], first["init"]["name"]) == ("digits", "watched")
    assert first["init"]["config"]["train"]["batch_size"] == 384
    assert second == {"define_metric": ["*", "step"]}
    logged: dict[str, Any] = {}
    for call in rest[:-1]:
        assert call["log"]["step"] in (1, 2)
        logged |= call["log"]
    assert {"train/loss", "eval/top1", "gradient_norm/all", "sparsity/all"} <= set(logged)
    assert rest[-1] == {"finish": True}


def test_nothing_is_written_unless_asked_for(plain: Path) -> None:
    assert not (plain / "visualdl").exists()
    assert list(plain.rglob("*.prom")) == []


def test_what_fails_is_told_once_and_the_run_is_the_same(
    plain: Path, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(gradient_norms, "gradient_norms", lambda model: 1 / 0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        log = {"prometheus_port": port, "textfile": str(tmp_path / "file" / "run.prom"), "gradients_every": 1}
        train(recipe(log), tmp_path / "run", MACHINE, report=silent)
    same_run(tmp_path / "run", plain)
    failures = [line for line in said if "failed, and the run goes on" in line]
    assert [line.split(" ")[0] for line in failures] == ["log.prometheus_port", "log.gradients_every", "log.textfile"]
    assert "in use" in failures[0] and "division by zero" in failures[1] and "run.prom" in failures[2]


def test_a_network_without_relus_is_told(tmp_path: Path, said: list[str]) -> None:
    train(recipe({"activations_every": 1}, model={"act": "silu"}), tmp_path, MACHINE, report=silent)
    assert any("log.activations_every failed" in line and "has no ReLU" in line for line in said)


@pytest.mark.parametrize(("key", "value"), [("histograms_every", 5), ("images", 4), ("graph", True)])
def test_what_visualdl_shows_wants_visualdl(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"'log\.{key}': expected log.visualdl to be true"):
        from_dict({"log": {"visualdl": False, key: value}})


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("textfile", "run.txt", "expected a path that ends in .prom, since node-exporter reads no other"),
        ("prometheus_port", 70000, "expected a value of at most 65535, found 70000"),
        ("images", -1, "expected a value of at least 0, found -1"),
    ],
)
def test_values_that_cannot_be(key: str, value: object, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        from_dict({"log": {key: value}})


@pytest.mark.parametrize(
    ("module", "log"),
    [
        ("wandb", {"wandb": "x"}),
        ("prometheus_client", {"prometheus_port": 1}),
        ("prometheus_client", {"textfile": "x.prom"}),
    ],
)
def test_a_package_that_is_missing_is_asked_for_before_anything_is_written(
    module: str, log: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain: Callable[[str], Any] = find_spec
    monkeypatch.setattr(choose, "find_spec", lambda name: None if name == module else plain(name))
    package = module.replace("_", "-")
    with pytest.raises(RequestError, match=rf"log\.\w+: the package {package} is not installed; pip install {package}"):
        train(recipe(log), tmp_path / "run", MACHINE, report=silent)
    assert not (tmp_path / "run").exists()


def test_what_watches_may_change_when_a_run_goes_on(tmp_path: Path) -> None:
    first = train(recipe({}), tmp_path, MACHINE, report=silent)
    log = {"gradients_every": 1, "textfile": str(tmp_path / "x.prom"), "activations_every": 3}
    assert train(recipe(log), tmp_path, MACHINE, report=silent, resume=True).last == first.last
