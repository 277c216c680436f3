"""Mixed precision on a CPU: gradients overflow float16 indeed, and doubles stand for what Paddle does on a GPU."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from machine import MACHINE
from paddle import nn
from relative import difference

from ppresnet.checkpoint import read
from ppresnet.checkpoint.state import restore_weights, weights_of
from ppresnet.config import AmpConfig, OptimConfig, RunConfig, from_dict
from ppresnet.data import Batch
from ppresnet.errors import InterruptedRunError
from ppresnet.models import create
from ppresnet.spec import spec_of
from ppresnet.train import amp
from ppresnet.train import evaluate as evaluate_module
from ppresnet.train import step as step_module
from ppresnet.train.ema import Ema
from ppresnet.train.monitors import Monitors
from ppresnet.train.optim import build_optimizer, optimizer_state, restore_optimizer
from ppresnet.train.run import train
from ppresnet.train.scaling import LossScale
from ppresnet.train.start import assemble_step
from ppresnet.train.step import Step

CLIPPED = {"optim": {"clip_norm": 0.01, "momentum": 0.9, "weight_decay": 0.0}}
IMAGES = np.random.default_rng(0).standard_normal((8, 1, 8, 8)).astype(np.float32)
GROUP = [Batch(IMAGES, np.arange(8), np.arange(8), ())]


def step_with(config: RunConfig, scale: LossScale | None) -> Step:
    """Return a step whose gradients pass through float16, as they do on a GPU."""
    spec = spec_of(**config.model.model_dump(), input_size=config.data.input_size)
    step = assemble_step(config, spec, None, None, print)
    step.scale = scale
    step.model.train()
    for parameter in step.model.parameters():
        if scale is not None and not parameter.stop_gradient:
            parameter.register_hook(lambda gradient: gradient.astype("float16").astype("float32"))
    return step


def state(step: Step) -> dict[str, np.ndarray]:
    return {**weights_of(step.model), **optimizer_state(step.optimizer, step.model)}


def test_overflows_are_left_out_until_the_scale_fits_and_clipping_sees_true_gradients() -> None:
    config = from_dict(CLIPPED)
    plain, step = step_with(config, None), step_with(config, LossScale(2.0**24, growth_steps=3))
    start, scales = state(step), []
    verdict, number = "skip", 0
    while verdict == "skip":
        verdict, _ = step.run(GROUP, 0, number, 0.5)
        scales.append(step.scale.scale if step.scale else 0.0)
        number += 1
        if verdict == "skip":
            assert "output is finite; the first gradient at fault is that of '" in step.fault(GROUP, 0, number)
            for name, value in state(step).items():  # weights, statistics and velocities
                np.testing.assert_array_equal(value, start.get(name, 0 * value), err_msg=name)
    assert verdict == "go" and number > 3
    assert scales == [*(2.0 ** (23 - skipped) for skipped in range(number - 1)), scales[-2]]
    plain.run(GROUP, 0, 0, 0.5)
    # Clipped before it is unscaled, the step would be thousands of times shorter.
    moved = [
        np.concatenate([(state(one)[n] - start[n]).ravel() for n in start if "._" not in n]) for one in (step, plain)
    ]
    assert np.linalg.norm(moved[1]) == pytest.approx(0.5 * 0.01 * 1.9, rel=1e-3)  # Nesterov's first step
    assert difference(moved[0], moved[1]) < 2e-3


def test_the_scale_grows_after_good_steps_until_it_overflows_again() -> None:
    step = step_with(
        from_dict({**CLIPPED, "optim": {"lr": 1e-6, "clip_norm": 1e-6}}), LossScale(1024.0, growth_steps=2)
    )
    found = [(step.run(GROUP, 0, number, 1e-6)[0], step.scale.scale if step.scale else 0.0) for number in range(40)]
    scales = [scale for _, scale in found]
    assert scales[:4] == [1024, 2048, 2048, 4096]
    first = next(index for index, (verdict, _) in enumerate(found) if verdict == "skip")
    assert [verdict for verdict, _ in found[first : first + 4]] == ["skip", "go", "go", "skip"]
    assert scales[first] == scales[first - 1] / 2 and scales[first + 2] == scales[first - 1]
    assert step.guard.rollbacks == 0 and step.guard.good == [verdict for verdict, _ in found].count("go")


def test_a_gradient_that_no_scale_mends_is_the_guards_business() -> None:
    step = step_with(from_dict({}), LossScale(1.0, growth_steps=9))
    step.model.head.fc.weight.register_hook(lambda gradient: gradient * float("inf"))
    assert [step.run(GROUP, 0, number, 0.1)[0] for number in range(4)] == ["skip", "skip", "skip", "rollback"]


def test_the_first_layer_that_overflows_is_named_and_only_the_short_type_shows_it() -> None:
    step = step_with(from_dict({}), LossScale(4.0, growth_steps=9))
    short = [False]

    @contextmanager
    def cast() -> Iterator[None]:
        short[0] = True
        yield
        short[0] = False

    def narrowed(_: nn.Layer, __: object, out: paddle.Tensor) -> paddle.Tensor:
        return (out * 1e6).astype("float16").astype("float32") if short[0] else out

    step.model.stages[1][0].branch[1].register_forward_post_hook(narrowed)
    step.passes.cast = cast
    assert step.run(GROUP, 0, 0, 0.1)[0] == "skip"
    assert step.fault(GROUP, 0, 0) == "the first layer at fault is 'stages.1.0.branch.1'"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Let training believe in a GPU; what it asks of Paddle there is noted and not done."""
    asked: list[dict[str, Any]] = []

    @contextmanager
    def auto_cast(**options: Any) -> Iterator[None]:
        asked.append(options)
        yield

    def decorate(models: nn.Layer, optimizers: Any, **options: Any) -> Any:
        asked.append(options)
        return models, optimizers

    monkeypatch.setattr(paddle, "get_device", lambda: "gpu:0")
    monkeypatch.setattr(paddle.amp, "auto_cast", auto_cast)
    monkeypatch.setattr(paddle.amp, "decorate", decorate)
    return asked


@pytest.mark.parametrize("level", ["O1", "O2"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_level_type_and_lists_reach_paddle(gpu: list[dict[str, Any]], level: str, dtype: str) -> None:
    section = {"level": level, "dtype": dtype, "allow": ["conv2d"], "deny": ["softmax", "mean"], "scale": 512.0}
    config = from_dict({"amp": {**section, "scale_steps": 7}})
    lines: list[str] = []
    step = assemble_step(config, spec_of("cifar_resnet20", in_channels=1, input_size=8), None, None, lines.append)
    decorated = [{"level": "O2", "dtype": dtype, "master_weight": True}] if level == "O2" else []
    assert gpu == decorated and lines == []
    step.run(GROUP, 0, 0, 0.1)
    lists = {"custom_white_list": {"conv2d"}, "custom_black_list": {"softmax", "mean"}}
    assert gpu[len(decorated) :] == [{"level": level, "dtype": dtype, **lists}]
    expected = LossScale(512.0, growth_steps=7, good_steps=1) if dtype == "float16" else None
    assert step.scale == expected


def test_without_lists_paddles_own_are_used(gpu: list[dict[str, Any]]) -> None:
    with amp.casting(AmpConfig(level="O1"), "gpu")():
        assert (gpu[0]["custom_white_list"], gpu[0]["custom_black_list"]) == (None, None)


def test_evaluation_runs_in_the_type_of_training(
    gpu: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth, own, seen = [0], evaluate_module.averaged_logits, []

    @contextmanager
    def auto_cast(**_: Any) -> Iterator[None]:
        depth[0] += 1
        yield
        depth[0] -= 1

    def averaged_logits(*arguments: Any, **named: Any) -> paddle.Tensor:
        seen.append(depth[0])
        return own(*arguments, **named)

    monkeypatch.setattr(paddle.amp, "auto_cast", auto_cast)
    monkeypatch.setattr(evaluate_module, "averaged_logits", averaged_logits)
    monkeypatch.setattr(Monitors, "on_eval", lambda *_: seen.append(depth[0]))  # a sheet shows what the network says
    config = from_dict({
        "train": {"epochs": 1, "batch_size": 512}, "log": {"visualdl": False},
        "amp": {"level": "O2", "dtype": "bfloat16"}, "hardware": {"onednn": "disabled"},
    })  # fmt: skip
    train(config, tmp_path / "run", MACHINE, report=lambda _: None)
    assert seen == [1, 1] and depth == [0]


def test_the_scale_is_saved_restored_and_told(
    gpu: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = from_dict({
        "train": {"epochs": 1, "batch_size": 128}, "log": {"every": 2, "visualdl": False},
        "amp": {"level": "O1", "scale": 1024.0, "scale_steps": 3}, "hardware": {"onednn": "disabled"},
    })  # fmt: skip
    own, lines, calls = step_module.bad_gradient, [], [0]
    stops: set[int] = set()

    def injected(model: nn.Layer) -> str | None:
        calls[0] += 1
        if calls[0] in stops:
            os.kill(os.getpid(), signal.SIGTERM)
        return "stem.conv.weight" if calls[0] in (2, 7) else own(model)

    monkeypatch.setattr(step_module, "bad_gradient", injected)
    whole = train(config, tmp_path / "whole", MACHINE, report=lines.append)
    last = read(whole.last).progress
    # Down at 2, up after 3, 4, 5; down at 7, up after 8, 9, 10.
    assert last["step"] == 10 and last["scale"] == {"scale": 1024.0, "growth_steps": 3, "good_steps": 0}
    assert gpu and last["guard"]["good"] == 8  # type: ignore[index]
    calls[0], stops = 0, {2, 4, 9}
    for _ in stops:
        with pytest.raises(InterruptedRunError):
            train(config, tmp_path / "cut", MACHINE, resume=True, report=lines.append)
    cut = train(config, tmp_path / "cut", MACHINE, resume=True, report=lines.append)
    for name in ("weights.safetensors", "optimizer.safetensors", "progress.json"):
        assert (Path(cut.last) / name).read_bytes() == (Path(whole.last) / name).read_bytes(), name


def test_where_it_does_nothing_one_line_says_so(tmp_path: Path) -> None:
    lines: list[str] = []
    found = {}
    for name, section in (("plain", {}), ("short", {"level": "O2", "dtype": "float16"})):
        config = from_dict({"train": {"epochs": 1, "batch_size": 512}, "log": {"visualdl": False}, "amp": section})
        lines.clear()
        found[name] = read(train(config, tmp_path / name, MACHINE, report=lines.append).last).weights
    assert ["float16 does nothing on a CPU" in line for line in lines].count(True) == 1, lines
    for name, array in found["plain"].items():
        np.testing.assert_array_equal(found["short"][name], array)
    without = amp.without_effect(AmpConfig(level="O1", dtype="bfloat16"), "cpu")
    assert without is not None and "without oneDNN's kernels" in without
    assert amp.without_effect(AmpConfig(level="O1"), "gpu") is None and amp.without_effect(AmpConfig(), "cpu") is None


def test_master_weights_are_saved_as_the_weights_and_come_back() -> None:
    """O2 by hand: a float16 network, and an optimiser with float32 masters."""
    model = create("cifar_resnet20", in_channels=1, input_size=8)
    exact = weights_of(model)
    optimizer = build_optimizer(OptimConfig(), model)
    optimizer._master_weights = {p.name: p.clone().detach() for p in model.parameters() if p.trainable}
    model.to(dtype="float16")
    saved = amp.full_weights(model, optimizer)
    assert {array.dtype for array in saved.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(saved["head.fc.weight"], exact["head.fc.weight"])
    assert (weights_of(model)["head.fc.weight"] != exact["head.fc.weight"]).any()
    kept = optimizer_state(optimizer, model)
    np.testing.assert_array_equal(kept["stem.conv.weight/master_weights"], exact["stem.conv.weight"])
    twin = create("cifar_resnet20", in_channels=1, input_size=8)
    twin.to(dtype="float16")
    twin_optimizer = build_optimizer(OptimConfig(), twin)
    restore_weights(twin, saved)
    restore_optimizer(twin_optimizer, twin, kept)
    assert twin.head.fc.weight.dtype == paddle.float16
    for name, array in amp.full_weights(twin, twin_optimizer).items():
        np.testing.assert_array_equal(array, saved[name])


def test_the_average_of_short_weights_is_not_short() -> None:
    model = nn.Linear(2, 2)
    model.to(dtype="float16")
    ema = Ema(model, decay=0.9999, steps=10**6)
    model.weight.set_value(model.weight + 1)
    before = ema.state()["weight"]
    for _ in range(3):
        ema.update()
    moved = ema.state()["weight"] - before
    assert moved.dtype == np.float32 and moved == pytest.approx(3e-4, rel=1e-2)
    with ema.in_place():
        assert model.weight.dtype == paddle.float16
