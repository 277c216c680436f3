"""Every option of a run: a run with it differs from one without, and goes on exactly after an interruption."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppresnet.checkpoint import read
from ppresnet.checkpoint.state import model_of
from ppresnet.config import RunConfig, from_dict
from ppresnet.errors import ConfigError, InterruptedRunError
from ppresnet.hardware import Hardware
from ppresnet.train import step as step_module
from ppresnet.train.evaluate import evaluate_split
from ppresnet.train.journal import read_records
from ppresnet.train.run import RunResult, train

MACHINE = Hardware(cpu="a CPU", mkl_cpu_type=None, threads=1, device="cpu", reason="a test")


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
        {"data": {"augment": [{"name": "random_erasing", "p": 1.0}]}},
        {"model": {"norm": "group"}},
    ],
    ids=str,
)
def test_an_option_changes_the_run(plain: RunResult, sections: dict[str, Any], tmp_path: Path) -> None:
    found, without = weights(run(recipe(**sections), tmp_path / "run")), weights(plain)
    assert any((found[name] != without[name]).any() for name in found if name in without)
    assert all(np.isfinite(array).all() for array in found.values())


def test_recompute_changes_nothing(plain: RunResult, tmp_path: Path) -> None:
    for name, options in (("every", {"every": 2}), ("budget", {"budget_mb": 14})):
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


def test_frozen_parts_stay_and_a_new_head_starts_anew(plain: RunResult, tmp_path: Path) -> None:
    tuned = {"frozen_stages": 1, "frozen_statistics": True, "frozen_affine": True}
    found = weights(run(recipe(init_from=plain.last, finetune=tuned), tmp_path / "frozen"))
    for name, array in weights(plain).items():
        frozen = name.startswith(("stem.", "stages.0.")) or ".norm." in name
        assert (found[name] == array).all() is np.bool_(frozen), name
    other = recipe(init_from=plain.last, finetune={"new_head": True}, optim={"lr": 1e-9})
    head = weights(run(other, tmp_path / "head"))["head.fc.weight"]
    assert np.abs(head - weights(plain)["head.fc.weight"]).max() > 0.01


EVERYTHING: dict[str, Any] = {
    "model": {"dropout": 0.1, "drop_path": 0.1},
    "data": {
        "augment": [
            {"name": "random_crop", "padding": 1},
            {"name": "rand_augment"},
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
    "amp": {"level": "O1", "dtype": "bfloat16"},
    "recompute": {"every": 2},
    "guard": {"spike": 50.0},
    "checkpoint": {"every_steps": 2},
}


@pytest.mark.parametrize("workers", [0, 2])
def test_with_everything_on_a_run_goes_on_exactly(
    plain: RunResult, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = {**EVERYTHING, "data": {**EVERYTHING["data"], "workers": workers}}
    config = recipe(**sections, distill={"checkpoint": plain.checkpoint})
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
