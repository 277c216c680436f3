"""The run that is watched in every way, and the same one that nobody watches."""

import json
import socket
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from machine import MACHINE
from watched_run import CLIENT, Watched, recipe

from ppresnet.train.journal import Journal
from ppresnet.train.run import train
from ppresnet.train.step import Step


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the runs of a test tell the user."""
    lines: list[str] = []
    monkeypatch.setattr(Journal, "say", lambda self, line: lines.append(line))
    return lines


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody watches."""
    folder = tmp_path_factory.mktemp("plain")
    train(recipe({}), folder, MACHINE, report=lambda _: None)
    return folder


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """The run of `plain`, watched."""
    folder, said, answers = tmp_path_factory.mktemp("watched"), list[str](), list[str]()
    client = folder / "site" / "wandb"
    client.mkdir(parents=True)
    (client / "__init__.py").write_text(CLIENT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = {
        **{"visualdl": True, "histograms_every": 2, "images": 5, "graph": True},
        **{"gradients_every": 1, "activations_every": 2},
        **{"prometheus_port": port, "textfile": str(folder / "node" / "run.prom"), "wandb": "digits"},
    }
    plain_step = Step.run

    def step(self: Step, *arguments: Any) -> Any:
        found = plain_step(self, *arguments)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            answers.append(answer.read().decode())
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "say", lambda self, line: said.append(line))
        patch.setattr(Step, "run", step)
        patch.syspath_prepend(str(client.parent))
        patch.delitem(sys.modules, "wandb", raising=False)
        train(recipe(log), folder / "run", MACHINE, report=lambda _: None)
        patch.delitem(sys.modules, "wandb")
    calls = [json.loads(line) for line in (client / "calls").read_text().splitlines()]
    return Watched(folder / "run", said, answers, (folder / "node" / "run.prom").read_text(), calls, port)
