"""Whole runs on images of several labels each: learned, resumed exactly, the best by mAP."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from machine import MACHINE
from sklearn.metrics import average_precision_score
from striped_lists import striped_lists

from ppresnet.checkpoint import read
from ppresnet.checkpoint.state import model_of
from ppresnet.config import RunConfig, from_dict
from ppresnet.errors import InterruptedRunError
from ppresnet.train import step as step_module
from ppresnet.train.evaluate import evaluate_split
from ppresnet.train.journal import read_records
from ppresnet.train.multilabel import MultiLabelEvaluation
from ppresnet.train.run import RunResult, train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return striped_lists(tmp_path_factory.mktemp("stripes"))


def recipe(data: dict[str, object], **sections: Any) -> RunConfig:
    values: dict[str, dict[str, Any]] = {
        "model": {"num_classes": 2},
        "data": data,
        "train": {"epochs": 5, "batch_size": 16, "loss": "bce"},
        "optim": {"lr": 0.1},
        "log": {"every": 2, "visualdl": False},
    }
    return from_dict(values | {name: values.get(name, {}) | part for name, part in sections.items()})


def run(config: RunConfig, folder: Path, **options: bool) -> RunResult:
    return train(config, folder, MACHINE, report=lambda _: None, **options)


def test_a_run_learns_every_label_and_keeps_the_best_by_map(data: dict[str, object], tmp_path: Path) -> None:
    config = recipe(data)
    result = run(config, tmp_path)
    assert result.map is not None and result.map > 99.0
    assert json.loads((tmp_path / "result.json").read_text())["map"] == result.map
    records = [record for record in read_records(tmp_path / "metrics.jsonl") if record["kind"] == "eval"]
    assert result.map == max(record["map"] for record in records)
    found = evaluate_split(model_of(read(result.checkpoint)), config)
    assert isinstance(found, MultiLabelEvaluation)
    assert (found.map, found.loss, found.top1) == (result.map, result.loss, result.top1)
    assert found.map == pytest.approx(100 * average_precision_score(found.truth, found.logits))
    assert [row["images"] for row in found.per_class()] == [16, 16] and found.count == 32
    # A quarter of the images has no label, and so none that could be right.
    assert result.top1 <= 75.0


@pytest.mark.parametrize("mixing", [{"mixup": 0.4}, {"cutmix": 1.0, "label_smoothing": 0.1}], ids=str)
def test_mixed_labels_are_resumed_exactly(
    mixing: dict[str, float], data: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = recipe(data, train={"epochs": 1, **mixing}, optim={"name": "lamb", "lr": 0.01})
    whole = run(config, tmp_path / "whole")
    own, calls = step_module.bad_gradient, iter(range(100))

    def interrupted(model: Any) -> str | None:
        if next(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return own(model)

    monkeypatch.setattr(step_module, "bad_gradient", interrupted)
    with pytest.raises(InterruptedRunError):
        run(config, tmp_path / "cut")
    cut = run(config, tmp_path / "cut", resume=True)
    for name in ("weights.safetensors", "optimizer.safetensors", "progress.json"):
        assert (Path(cut.last) / name).read_bytes() == (Path(whole.last) / name).read_bytes(), name
    plain = run(recipe(data, train={"epochs": 1}, optim={"name": "lamb", "lr": 0.01}), tmp_path / "plain")
    assert any((array != read(whole.last).weights[name]).any() for name, array in read(plain.last).weights.items())
