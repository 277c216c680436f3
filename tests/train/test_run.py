"""Whole runs in one process: files, resuming, signals, broken images, NaN."""

import dataclasses
import itertools
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from machine import MACHINE
from paddle import nn
from PIL import Image

from ppresnet.checkpoint import read
from ppresnet.checkpoint.state import model_of
from ppresnet.config import RunConfig, from_dict, to_dict
from ppresnet.errors import ConfigError, DataError, DivergedError, InterruptedRunError, RequestError
from ppresnet.train import passes as passes_module
from ppresnet.train import start, trainer
from ppresnet.train import step as step_module
from ppresnet.train.evaluate import evaluate_split
from ppresnet.train.journal import read_records
from ppresnet.train.resume import expect_same_run
from ppresnet.train.run import RunResult, train


def _silent(_: str) -> None:
    return None


@pytest.fixture(scope="session")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes that a network learns at once: horizontal and vertical stripes, 8x8."""
    root = tmp_path_factory.mktemp("stripes")
    rng = np.random.default_rng(0)
    for split, count in (("train", 24), ("test", 8)):
        for name in ("horizontal", "vertical"):
            (root / split / name).mkdir(parents=True)
            for index in range(count):
                image = np.zeros((8, 8), np.uint8)
                image[:: 2 + index % 2] = 200
                image = (image if name == "horizontal" else image.T) + rng.integers(0, 50, (8, 8), np.uint8)
                Image.fromarray(image).save(root / split / name / f"{index:02}.png")
    return root


@pytest.fixture
def recipe(stripes: Path) -> Callable[..., RunConfig]:
    def make(**sections: object) -> RunConfig:
        values: dict[str, dict[str, object]] = {
            "model": {"name": "cifar_resnet20", "num_classes": 2, "dropout": 0.1, "drop_path": 0.1},
            "data": {"format": "folder", "root": str(stripes), "augment": [{"name": "random_flip"}]},
            "train": {"epochs": 3, "batch_size": 8},
            "optim": {"lr": 0.05},
            "log": {"every": 2, "visualdl": False},
        }
        for name, section in sections.items():
            values[name] = {**values.get(name, {}), **section} if isinstance(section, dict) else section  # type: ignore
        return from_dict(values)

    return make


def _train(config: RunConfig, output: Path, **options: bool) -> RunResult:
    return train(config, output, MACHINE, report=_silent, **options)


def test_a_run_learns_and_leaves_everything_behind(recipe: Callable[..., RunConfig], tmp_path: Path) -> None:
    config = recipe(train={"epochs": 6}, log={"visualdl": True})
    result = _train(config, tmp_path / "run")
    assert result.top1 == 100.0
    stored = json.loads((tmp_path / "run" / "result.json").read_text())
    assert stored == dataclasses.asdict(result)
    records = read_records(tmp_path / "run" / "metrics.jsonl")
    assert [record["step"] for record in records if record["kind"] == "train"] == list(range(2, 37, 2))
    assert [record["epoch"] for record in records if record["kind"] == "eval"] == [1, 2, 3, 4, 5, 6]
    best = max(record["top1"] for record in records if record["kind"] == "eval")
    assert best == result.top1
    with Image.open(tmp_path / "run" / "curves.png") as picture:
        assert picture.size[0] > 500
    assert any((tmp_path / "run" / "visualdl").iterdir())
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) <= config.checkpoint.keep + 1
    assert evaluate_split(model_of(read(result.checkpoint)), config).top1 == result.top1
    assert read(result.last).progress["step"] == 36


def _same_run(ours: Path, theirs: Path) -> None:
    assert (ours / "metrics.jsonl").read_bytes() == (theirs / "metrics.jsonl").read_bytes()
    last = sorted(path.name for path in (theirs / "checkpoints").glob("step-*"))[-1]
    for name in ("weights.safetensors", "optimizer.safetensors", "progress.json"):
        left, right = (run / "checkpoints" / last / name for run in (ours, theirs))
        assert left.read_bytes() == right.read_bytes(), name


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Callable[[signal.Signals, set[int]], None]:
    """Let a signal come in some steps, counted from 1 over all runs that follow."""

    def start(signal_number: signal.Signals, steps: set[int]) -> None:
        plain, count = step_module.bad_gradient, itertools.count(1)

        def interrupted(model: nn.Layer) -> str | None:
            if next(count) in steps:
                os.kill(os.getpid(), signal_number)
            return plain(model)

        monkeypatch.setattr(step_module, "bad_gradient", interrupted)

    return start


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_within_a_step_and_the_run_goes_on_exactly(
    signal_number: signal.Signals,
    recipe: Callable[..., RunConfig],
    tmp_path: Path,
    send: Callable[[signal.Signals, set[int]], None],
) -> None:
    _train(recipe(), tmp_path / "whole")
    send(signal_number, {8, 9})  # in the second epoch, then again at the first step after resuming
    for step in (8, 9):
        with pytest.raises(InterruptedRunError, match=f"{signal_number.name} after step {step}"):
            _train(recipe(), tmp_path / "cut", resume=True)
        assert (tmp_path / "cut" / "checkpoints" / f"step-{step:08}").is_dir()
    _train(recipe(), tmp_path / "cut", resume=True)
    _same_run(tmp_path / "cut", tmp_path / "whole")


def test_a_signal_during_evaluation_leaves_at_once_and_the_run_goes_on_exactly(
    recipe: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _train(recipe(), tmp_path / "whole")
    plain = trainer.evaluate

    def send_signal(*arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(trainer, "evaluate", send_signal)
    with pytest.raises(InterruptedRunError, match="SIGTERM after step 6"):
        _train(recipe(), tmp_path / "cut")
    assert read(tmp_path / "cut" / "checkpoints" / "step-00000006").progress["batch"] == 6
    monkeypatch.setattr(trainer, "evaluate", plain)
    _train(recipe(), tmp_path / "cut", resume=True)
    _same_run(tmp_path / "cut", tmp_path / "whole")


def test_resuming_with_workers_changes_nothing(
    recipe: Callable[..., RunConfig], tmp_path: Path, send: Callable[[signal.Signals, set[int]], None]
) -> None:
    _train(recipe(), tmp_path / "whole")
    send(signal.SIGTERM, {8})  # in the second epoch, while the workers are batches ahead
    with pytest.raises(InterruptedRunError, match="SIGTERM after step 8"):
        _train(recipe(data={"workers": 2}), tmp_path / "workers")
    _train(recipe(data={"workers": 1}), tmp_path / "workers", resume=True)
    _same_run(tmp_path / "workers", tmp_path / "whole")


def test_what_a_run_tells_may_change_when_it_goes_on(
    recipe: Callable[..., RunConfig], tmp_path: Path, send: Callable[[signal.Signals, set[int]], None]
) -> None:
    whole = _train(recipe(), tmp_path / "whole")
    send(signal.SIGTERM, {8})
    with pytest.raises(InterruptedRunError, match="SIGTERM after step 8"):
        _train(recipe(), tmp_path / "cut")
    cut = _train(recipe(log={"every": 1}), tmp_path / "cut", resume=True)
    assert read(cut.last).weights.keys() == read(whole.last).weights.keys()
    assert all(np.array_equal(value, read(whole.last).weights[name]) for name, value in read(cut.last).weights.items())
    told = [len((tmp_path / name / "metrics.jsonl").read_text().splitlines()) for name in ("cut", "whole")]
    assert told[0] > told[1]


def test_resuming_a_finished_run_changes_nothing(recipe: Callable[..., RunConfig], tmp_path: Path) -> None:
    first = _train(recipe(), tmp_path / "run")
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    again = _train(recipe(), tmp_path / "run", resume=True)
    assert again.images_per_second is None
    assert (again.top1, again.checkpoint, again.last) == (first.top1, first.checkpoint, first.last)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_metrics_that_were_lost_or_cut_off_are_told_of_and_gone_on_with(
    recipe: Callable[..., RunConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _train(recipe(train={"epochs": 3, "patience": 1}), tmp_path / "run")
    journal = tmp_path / "run" / "metrics.jsonl"
    whole = journal.read_bytes()
    for kept, lines in ((None, 0), (whole[: whole.index(b"\n") + 9], 1)):
        journal.unlink()
        if kept is not None:
            journal.write_bytes(kept)
        _train(recipe(train={"epochs": 3, "patience": 1}), tmp_path / "run", resume=True)
        assert len(read_records(journal)) == lines
        assert f"has {len(kept or b'')} of the {len(whole)} bytes" in capsys.readouterr().err.replace("\n", "")


def test_other_images_are_not_gone_on_with(recipe: Callable[..., RunConfig], stripes: Path, tmp_path: Path) -> None:
    _train(recipe(train={"epochs": 1}), tmp_path / "run")
    other = tmp_path / "other"
    shutil.copytree(stripes, other)
    (other / "train" / "vertical" / "00.png").unlink()
    with pytest.raises(DataError, match="expected 48 images to train on, found 47"):
        _train(recipe(train={"epochs": 1}, data={"root": str(other)}), tmp_path / "run", resume=True)
    for split in ("train", "test"):
        (other / split / "vertical").rename(other / split / "across")
    with pytest.raises(DataError, match="classes horizontal, vertical, found across, horizontal"):
        _train(recipe(train={"epochs": 1}, data={"root": str(other)}), tmp_path / "run", resume=True)


def test_an_evaluation_without_a_finite_loss_is_not_the_best(
    recipe: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, calls = trainer.evaluate, itertools.count(1)

    def evaluate(*given: Any) -> Any:
        result = own(*given)
        if next(calls) != 2:
            result.sums[:] = float("nan")
        return result

    monkeypatch.setattr(trainer, "evaluate", evaluate)
    result = _train(recipe(), tmp_path)
    assert result.checkpoint.endswith("step-00000012") and np.isfinite(result.loss)
    assert read(result.last).progress["stale"] == 1


def test_accumulated_batches_are_one_step(recipe: Callable[..., RunConfig], tmp_path: Path) -> None:
    result = _train(recipe(train={"accumulate": 4, "epochs": 1}), tmp_path / "run")
    assert read(result.last).progress["step"] == 2  # 6 batches: 4 and 2


def test_init_from_starts_with_the_weights_of_a_run(recipe: Callable[..., RunConfig], tmp_path: Path) -> None:
    first = _train(recipe(), tmp_path / "first")
    config = recipe(init_from=str(tmp_path / "first"), optim={"lr": 1e-12}, train={"epochs": 1})
    second = _train(config, tmp_path / "second")
    ours, theirs = read(second.last).weights, read(first.checkpoint).weights
    kernels = [name for name in ours if not name.endswith(("_mean", "_variance"))]
    assert kernels and all(np.abs(ours[name] - theirs[name]).max() < 1e-6 for name in kernels)
    told: list[str] = []
    deeper = recipe(init_from=str(tmp_path / "first"), model={"name": "cifar_resnet32"}, train={"epochs": 1})
    train(deeper, tmp_path / "deeper", MACHINE, report=told.append)
    assert "the checkpoint decides the network: model.name cifar_resnet20 instead of cifar_resnet32" in told
    with pytest.raises(ConfigError, match="2 classes and 1 input channels; the recipe wants 10"):
        wider = {"model": {"num_classes": 10}, "data": {"format": "digits", "root": None}}
        _train(recipe(init_from=str(tmp_path / "first"), **wider), tmp_path / "third")


def test_an_output_that_holds_a_run_is_not_overwritten(recipe: Callable[..., RunConfig], tmp_path: Path) -> None:
    _train(recipe(train={"epochs": 1}), tmp_path)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(RequestError, match="already holds a run; add --resume"):
        _train(recipe(), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_another_recipe_cannot_resume_a_run(recipe: Callable[..., RunConfig], tmp_path: Path) -> None:
    _train(recipe(train={"epochs": 1}), tmp_path)
    with pytest.raises(ConfigError, match=r"'optim\.lr' is 0\.2 in the recipe and 0\.05 in the checkpoint"):
        _train(recipe(train={"epochs": 1}, optim={"lr": 0.2}), tmp_path, resume=True)


def test_a_recipe_from_before_a_key_existed_is_gone_on_with(recipe: Callable[..., RunConfig], tmp_path: Path) -> None:
    stored = to_dict(recipe())
    del stored["distill"]["maps"], stored["guard"]
    expect_same_run(recipe(), stored)
    with pytest.raises(ConfigError, match=r"'distill\.maps' is 1\.0 in the recipe and 0\.0 in the checkpoint"):
        expect_same_run(recipe(distill={"maps": 1.0, "checkpoint": "a folder"}), stored)


def test_a_run_does_not_go_on_with_another_teacher(recipe: Callable[..., RunConfig], tmp_path: Path) -> None:
    for seed in (1, 2):
        _train(recipe(seed=seed, train={"epochs": 1}), tmp_path / f"teacher{seed}")
    taught = recipe(distill={"checkpoint": str(tmp_path / "teacher1")}, train={"epochs": 1})
    _train(taught, tmp_path / "run")
    _train(taught, tmp_path / "run", resume=True)
    shutil.rmtree(tmp_path / "teacher1")
    (tmp_path / "teacher2").rename(tmp_path / "teacher1")
    with pytest.raises(DataError, match=r"expected a teacher of the weights [0-9a-f]{12}, found"):
        _train(taught, tmp_path / "run", resume=True)


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[[set[int]], None]:
    """Make the losses of some forward passes NaN, counted from 1 over the whole test."""

    def start(passes: set[int]) -> None:
        plain, calls = passes_module.mixed_cross_entropy, itertools.count(1)

        def poisoned(*arguments: Any) -> paddle.Tensor:
            loss = plain(*arguments)
            return loss * float("nan") if next(calls) in passes else loss

        monkeypatch.setattr(passes_module, "mixed_cross_entropy", poisoned)

    return start


def _finite(folder: Path) -> bool:
    return all(np.isfinite(array).all() for array in read(folder).weights.values())


def test_a_bad_step_is_left_out(
    recipe: Callable[..., RunConfig], tmp_path: Path, poison: Callable[[set[int]], None]
) -> None:
    poison({9})
    result = _train(recipe(), tmp_path)
    assert _finite(Path(result.last))
    last = read(result.last).progress
    assert last["step"] == 18 and last["guard"]["good"] == 17  # type: ignore[index]


def test_bad_steps_in_a_row_are_undone_and_slow_the_run_down(
    recipe: Callable[..., RunConfig], tmp_path: Path, poison: Callable[[set[int]], None]
) -> None:
    poison({9, 10, 11, 12})
    lines: list[str] = []
    result = train(recipe(), tmp_path, MACHINE, report=lines.append)
    records = read_records(tmp_path / "metrics.jsonl")
    assert [record["step"] for record in records if record["kind"] == "train"] == list(range(2, 19, 2))
    last = read(result.last).progress
    assert last["step"] == 18 and last["guard"]["rollbacks"] == 1  # type: ignore[index]
    assert _finite(Path(result.last))


def test_nan_that_stays_ends_the_run_and_never_reaches_the_weights(
    recipe: Callable[..., RunConfig], tmp_path: Path, poison: Callable[[set[int]], None]
) -> None:
    poison(set(range(9, 100)))
    with pytest.raises(DivergedError, match=r"step 9: 4 bad steps in a row; every layer's output is finite"):
        _train(recipe(), tmp_path)
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    assert newest.name == "step-00000006"
    assert _finite(newest)


def test_the_layer_where_a_run_diverges_is_named(
    recipe: Callable[..., RunConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own, calls = start.build, itertools.count(1)

    def build(spec: Any) -> nn.Layer:
        model = own(spec)
        poisoned = lambda *given: given[-1] * float("nan") if next(calls) > 4 else None  # noqa: E731
        model.stages[1][0].branch[0].register_forward_post_hook(poisoned)
        return model

    monkeypatch.setattr(start, "build", build)
    with pytest.raises(DivergedError, match=r"step 9: 4 bad steps in a row; the first layer at fault is 'stages\.1\.0"):
        _train(recipe(), tmp_path)
    assert "step 4 is left out: the first layer at fault is 'stages.1.0.branch.0'" in capsys.readouterr().err


def test_broken_images_are_named_and_skipped_up_to_the_limit(
    recipe: Callable[..., RunConfig], stripes: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    for source in stripes.rglob("*.png"):
        target = root / source.relative_to(stripes)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    broken = root / "train" / "vertical" / "05.png"
    broken.write_bytes(broken.read_bytes()[:40])
    data = {"root": str(root), "max_broken": 0.05}
    _train(recipe(data=data), tmp_path / "run")
    report = json.loads((tmp_path / "run" / "broken.json").read_text())
    assert [item["name"].endswith("vertical/05.png") for item in report["broken"]] == [True]
    _train(recipe(data=data), tmp_path / "again")
    _same_run(tmp_path / "again", tmp_path / "run")
    with pytest.raises(DataError, match=r"05\.png"):
        _train(recipe(data={**data, "max_broken": 0.0}), tmp_path / "strict")
