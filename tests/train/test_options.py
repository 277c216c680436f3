"""Every option of a run: a run with it differs from one without, and goes on exactly after an interruption."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from machine import MACHINE
from paddle import nn

from ppresnet.checkpoint import Store, read
from ppresnet.checkpoint.state import model_of
from ppresnet.config import RunConfig, from_dict
from ppresnet.data import Loader, Samples
from ppresnet.errors import ConfigError, InterruptedRunError
from ppresnet.layers import DropPath
from ppresnet.models import build
from ppresnet.train import run as run_module
from ppresnet.train import step as step_module
from ppresnet.train.evaluate import evaluate_split
from ppresnet.train.journal import read_records
from ppresnet.train.run import RunResult, train
from ppresnet.train.start import starting_point


def recipe(**sections: Any) -> RunConfig:
    values: dict[str, Any] = {
        "train": {"epochs": 1, "batch_size": 256},
        "schedule": {"warmup_epochs": 0.5},
        "log": {"every": 2, "visualdl": False},
    }
    return from_dict({name: {**values.get(name, {}), **part} if isinstance(part, dict) else part
                      for name, part in {**values, **sections}.items()})  # fmt: skip


def run(config: RunConfig, folder: Path, **options: bool) -> RunResult:
    return train(config, folder, MACHINE, report=lambda _: None, **options)


def weights(result: RunResult) -> dict[str, np.ndarray]:
    return read(result.last).weights


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run(recipe(), tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize(
    "sections",
    [
        {"train": {"mixup": 0.2}},
        {"train": {"cutmix": 1.0}},
        {"train": {"label_smoothing": 0.1}},
        {"train": {"start_size": 4, "grow_epochs": 2}},
        {"optim": {"layer_decay": 0.5}},
        {"amp": {"level": "O1", "dtype": "bfloat16"}},
        {"data": {"augment": [{"name": "rand_augment"}]}},
        {"data": {"augment": [{"name": "auto_augment", "policy": "cifar10"}]}},
        {"data": {"augment": [{"name": "random_erasing", "p": 1.0}]}},
        {"data": {"augment": [{"name": "cutout", "length": 4}]}},
        {"model": {"dropout": 0.2}},
        {"model": {"drop_path": 0.2}},
        {"model": {"zero_init_gamma": True}},
        {"optim": {"clip_norm": 0.1}},
        {"seed": 2},
        {"model": {"norm": "group"}},
    ],
    ids=str,
)
def test_an_option_changes_the_run(plain: RunResult, sections: dict[str, Any], tmp_path: Path) -> None:
    found, without = weights(run(recipe(**sections), tmp_path / "run")), weights(plain)
    assert any((found[name] != without[name]).any() for name in found if name in without)
    assert all(np.isfinite(array).all() for array in found.values())


def test_every_key_of_the_model_is_in_the_network() -> None:
    model = {"name": "cifar_resnet32", "num_classes": 7, "in_channels": 3, "act": "silu", "norm": "group"}
    chances = {"dropout": 0.3, "drop_path": 0.4, "zero_init_gamma": True}
    colour = {"mean": [0.5] * 3, "std": [0.5] * 3, "input_size": 12}
    config = recipe(model={**model, **chances}, data=colour)
    spec, initial = starting_point(config, None)
    assert initial is None and set(model | chances) == set(type(config.model).model_fields)
    for key, value in (model | chances | {"input_size": 12}).items():
        assert getattr(spec, key) == value, key
    kinds = {type(layer) for layer in build(spec).sublayers()}
    assert {nn.GroupNorm, nn.Swish, nn.Dropout, DropPath} <= kinds and nn.BatchNorm2D not in kinds


def test_the_loaders_have_the_workers_of_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Counted(Loader):
        def __init__(self, samples: Samples, workers: int = 0) -> None:
            asked.append(workers)
            super().__init__(samples, workers=0)

    monkeypatch.setattr(run_module, "Loader", Counted)
    run(recipe(data={"workers": 3}, train={"batch_size": 1024}), tmp_path / "run")
    assert asked == [3, 3]


def test_the_rhythm_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    own = Store.save
    monkeypatch.setattr(Store, "save", lambda self, what, step: saved.append(step) or own(self, what, step))
    # One step an epoch, and a network that stays as it is, so that the first evaluation stays the best.
    config = recipe(
        name="steady",
        train={"epochs": 6, "batch_size": 1300, "eval_every": 2},
        checkpoint={"every_epochs": 3, "every_steps": 5, "keep": 1},
        optim={"lr": 1e-12},
        finetune={"frozen_statistics": True},
    )
    lines: list[str] = []
    result = train(config, tmp_path, MACHINE, report=lines.append)
    evaluated = [one["epoch"] for one in read_records(tmp_path / "metrics.jsonl") if one["kind"] == "eval"]
    assert evaluated == [2, 4, 6] and lines[-1].startswith("steady: cifar_resnet20 on ")
    assert saved == [2, 3, 5, 6]
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"step-00000002", "step-00000006"}
    assert Path(result.checkpoint).name == "step-00000002"


def test_recompute_changes_nothing(plain: RunResult, tmp_path: Path) -> None:
    for name, options in (("every", {"every": 2}), ("budget", {"budget_mb": 45})):
        found = weights(run(recipe(recompute=options), tmp_path / name))
        for key, array in weights(plain).items():
            np.testing.assert_array_equal(found[key], array)


def test_the_average_is_evaluated_kept_apart_and_used(plain: RunResult, tmp_path: Path) -> None:
    result = run(recipe(ema={"decay": 0.9}), tmp_path / "run")
    last = read(result.last)
    for name, array in weights(plain).items():
        np.testing.assert_array_equal(last.weights[name], array)  # the run itself is the same
    assert any((last.ema[name] != last.weights[name]).any() for name in last.ema)
    assert last.progress["ema_steps"] == last.progress["step"]
    used = model_of(last).state_dict()
    for name, array in last.ema.items():
        np.testing.assert_array_equal(used[name].numpy(), array)
    assert evaluate_split(model_of(read(result.checkpoint)), recipe()).top1 == result.top1


def test_a_teacher_is_learned_from(plain: RunResult, tmp_path: Path) -> None:
    options = {"checkpoint": plain.checkpoint, "weight": 1.0, "temperature": 2.0}
    found = weights(run(recipe(distill=options), tmp_path / "run"))
    assert any((found[name] != array).any() for name, array in weights(plain).items())
    with pytest.raises(ConfigError, match=r"distill.checkpoint: expected a teacher of 10 classes and 3 input channels"):
        run(
            recipe(distill=options, model={"in_channels": 3}, data={"mean": [0.5] * 3, "std": [0.5] * 3}),
            tmp_path / "x",
        )


def test_a_run_without_progress_ends_early(tmp_path: Path) -> None:
    config = recipe(train={"epochs": 9, "patience": 2}, optim={"lr": 1e-9})
    result = run(config, tmp_path)
    records = [record for record in read_records(tmp_path / "metrics.jsonl") if record["kind"] == "eval"]
    best = max(records, key=lambda record: record["top1"])
    assert records[-1]["epoch"] == best["epoch"] + 2 < 9
    assert run(config, tmp_path, resume=True).last == result.last


FROZEN: dict[str, Callable[[str], bool]] = {
    "frozen_stages": lambda name: name.startswith(("stem.", "stages.0.")),
    "frozen_statistics": lambda name: name.endswith(("_mean", "_variance")),
    "frozen_affine": lambda name: name.endswith((".norm.weight", ".norm.bias")),
}


@pytest.mark.parametrize("option", FROZEN)
def test_what_is_frozen_stays_and_nothing_else(plain: RunResult, option: str, tmp_path: Path) -> None:
    value: int | bool = 1 if option == "frozen_stages" else True
    found = weights(run(recipe(init_from=plain.last, finetune={option: value}), tmp_path / "run"))
    for name, array in weights(plain).items():
        assert (found[name] == array).all() is np.bool_(FROZEN[option](name)), name


def test_a_new_head_starts_anew(plain: RunResult, tmp_path: Path) -> None:
    other = recipe(init_from=plain.last, finetune={"new_head": True}, optim={"lr": 1e-9})
    found, before = weights(run(other, tmp_path / "head")), weights(plain)
    apart = {name: np.abs(found[name] - before[name]).max() for name in before if not FROZEN["frozen_statistics"](name)}
    assert {name for name, distance in apart.items() if distance > 1e-3} == {"head.fc.weight", "head.fc.bias"}


EVERYTHING: dict[str, Any] = {
    "model": {"dropout": 0.1, "drop_path": 0.1},
    "data": {
        "augment": [
            {"name": "random_crop", "padding": 1},
            {"name": "rand_augment"},
            {"name": "auto_augment", "policy": "cifar10"},
            {"name": "random_erasing"},
            {"name": "cutout", "length": 2},
        ]
    },
    "train": {
        **{"epochs": 2, "batch_size": 128, "accumulate": 2, "mixup": 0.2, "cutmix": 1.0, "label_smoothing": 0.1},
        **{"start_size": 4, "grow_epochs": 2, "patience": 5},
    },
    "optim": {"clip_norm": 1.0, "layer_decay": 0.9},
    "ema": {"decay": 0.9},
    "sparsity": {"bn": 1e-3, "group_lasso": 1e-3},
    "amp": {"level": "O1", "dtype": "bfloat16"},
    "recompute": {"every": 2},
    "guard": {"spike": 50.0},
    "checkpoint": {"every_steps": 2},
}


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_with_everything_on_a_run_goes_on_exactly(
    plain: RunResult, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = {**EVERYTHING, "data": {**EVERYTHING["data"], "workers": workers}}
    config = recipe(**sections, distill={"checkpoint": plain.checkpoint, "maps": 1.0})
    whole = run(config, tmp_path / "whole")
    own, calls = step_module.bad_gradient, iter(range(1000))

    def interrupted(model: Any) -> str | None:
        if next(calls) in (2, 5, 8):
            os.kill(os.getpid(), signal.SIGTERM)
        return own(model)

    monkeypatch.setattr(step_module, "bad_gradient", interrupted)
    for _ in range(3):
        with pytest.raises(InterruptedRunError):
            run(config, tmp_path / "cut", resume=True)
    cut = run(config, tmp_path / "cut", resume=True)
    for name in ("weights.safetensors", "optimizer.safetensors", "ema.safetensors", "progress.json"):
        assert (Path(cut.last) / name).read_bytes() == (Path(whole.last) / name).read_bytes(), name
    assert (tmp_path / "cut/metrics.jsonl").read_bytes() == (tmp_path / "whole/metrics.jsonl").read_bytes()
