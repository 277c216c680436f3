"""The life of a pruned checkpoint, with the commands: measured, planned, cut, trained on, cut again, exported."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import export
import numpy as np
import paddle
import pytest
from PIL import Image
from tiny_network import save_tiny, tiny_checkpoint

from deploy.slim import cut as cut_command
from deploy.slim import plan as plan_command
from deploy.slim import sensitivity as sensitivity_command
from deploy.slim.cutting import cut
from deploy.slim.grouping import channel_graph
from deploy.slim.importance import scores
from deploy.slim.planner import plan_of
from deploy.slim.recalibration import recalibrated
from deploy.slim.sensitivities import measure, read_sensitivity
from deploy.slim.subset import Subset, load_subset, quality
from ppresnet import cli
from ppresnet.checkpoint import Store, read, resolve
from ppresnet.checkpoint.state import model_of, spec_of_checkpoint, weights_of
from ppresnet.config import OptimConfig, from_dict
from ppresnet.errors import DataError, RequestError
from ppresnet.export.onnx import can_convert
from ppresnet.paddle_api import has_json
from ppresnet.train.optim import build_optimizer, optimizer_state, restore_optimizer

ROOT = Path(__file__).resolve().parents[3]


def command(module, *arguments: object) -> int:
    return cli.run(module.main, module.parse([str(argument) for argument in arguments]))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    save_tiny(folder)
    return folder


def cut_in_half(run: Path, output: Path, *more: object) -> Path:
    plan = output.with_suffix(".json")
    cost = () if "--macs" in more else ("--macs", 0.6)
    assert command(plan_command, "--checkpoint", run, *cost, "--output", plan, "--images", 64, *more) == 0
    assert command(cut_command, "--checkpoint", run, "--plan", plan, "--output", output, "--recalibrate", 64) == 0
    return resolve(output)


def weight_bytes(step: Path) -> int:
    return (step / "weights.safetensors").stat().st_size


# What somebody does who knows nothing of pruning: the checkpoint is read, answers, and is trained on.
FRESH = """
import json, sys
from pathlib import Path
import numpy as np, paddle
from ppresnet.checkpoint import read
from ppresnet.checkpoint.state import model_of
from ppresnet.config import from_dict
from ppresnet.hardware import Hardware
from ppresnet.train.run import train

step, output, config = Path(sys.argv[1]), Path(sys.argv[2]), from_dict(json.loads(sys.argv[3]))
np.save(output.with_suffix(".npy"), model_of(read(step))(paddle.ones([1, 1, 8, 8])).numpy())
train(config, output, Hardware(cpu="a CPU", mkl_cpu_type=None, threads=1, device="cpu", reason="a test"), report=print)
assert not any(name.partition(".")[0] == "deploy" for name in sys.modules)
"""


def train_on(checkpoint: Path, output: Path) -> Path:
    fields = {
        "init_from": str(checkpoint),
        "model": {"num_classes": 10, "in_channels": 1},
        "data": {"format": "digits"},
        "train": {"epochs": 1, "batch_size": 256},
        "log": {"visualdl": False},
    }
    command = [sys.executable, "-W", "ignore", "-c", FRESH, str(checkpoint), str(output), json.dumps(fields)]
    fresh = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert fresh.returncode == 0, fresh.stderr
    return output


def test_a_pruned_checkpoint_is_an_ordinary_one(run_folder: Path, tmp_path: Path) -> None:
    whole = read(resolve(run_folder))
    first = cut_in_half(run_folder, tmp_path / "first", "--picture", tmp_path / "groups.svg")
    assert "<title>stem.conv: 4 units" in (tmp_path / "groups.svg").read_text()
    smaller = read(first)
    lost = sum(a.nbytes for a in whole.weights.values()) - sum(a.nbytes for a in smaller.weights.values())
    assert weight_bytes(resolve(run_folder)) - weight_bytes(first) == pytest.approx(lost, abs=300)
    assert lost > 0
    assert smaller.progress["best"] is None
    trained = train_on(first, tmp_path / "trained")
    answer = model_of(smaller)(paddle.ones([1, 1, 8, 8])).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "trained.npy"), answer, rtol=1e-5)
    after = read(resolve(trained))
    assert spec_of_checkpoint(after) == spec_of_checkpoint(smaller)
    assert (after.weights["stem.conv.weight"] != smaller.weights["stem.conv.weight"]).all()
    second = cut_in_half(trained, tmp_path / "second", "--importance", "l1", "--allocation", "global", "--steps", 2)
    assert weight_bytes(second) < weight_bytes(first)
    result = tmp_path / "bundle.json"
    arguments = ["--checkpoint", str(second), "--output", str(tmp_path / "bundle"), "--json", str(result)]
    assert cli.run(export.main, export.parse(arguments)) == 0
    parity = json.loads(result.read_text())["parity"]
    formats = {*(("json",) if has_json() else ()), "pdmodel", *(("onnx",) if can_convert() else ())}
    assert {row["format"] for row in parity} == formats
    assert max(row["rel_diff"] for row in parity) <= 1e-5


@pytest.mark.parametrize("name", get_args(OptimConfig.model_fields["name"].annotation))
def test_the_optimiser_goes_on_where_it_was(name: str) -> None:
    """Paddle's Momentum says nothing when its velocity has the shape of a wider weight."""
    config = OptimConfig(name=name, lr=0.01, weight_decay=0.0, centered=True)
    whole = tiny_checkpoint()
    model = model_of(whole)
    optimizer = build_optimizer(config, model)
    moved(model, optimizer, seed=1)
    whole = replace(whole, weights=weights_of(model), optimizer=optimizer_state(optimizer, model))
    graph = channel_graph(spec_of_checkpoint(whole))
    smaller = cut(whole, plan_of(whole, graph, {group.name: tuple(range(1, group.units)) for group in graph}), graph)
    model = model_of(smaller)
    optimizer = build_optimizer(config, model)
    restore_optimizer(optimizer, model, smaller.optimizer)
    moved(model, optimizer, seed=None)
    state = optimizer_state(optimizer, model)
    assert state.keys() == smaller.optimizer.keys()
    factors = {
        "velocity_0": 0.9,
        "momentum_0": 0.9,
        "mean_square_0": 0.9,
        "mean_grad_0": 0.9,
        "moment1_0": 0.9,
        "moment2_0": 0.999,
        "beta1_pow_acc_0": 0.9,
        "beta2_pow_acc_0": 0.999,
    }
    for key, array in state.items():  # without a gradient they fade, each from its own value
        np.testing.assert_allclose(array, smaller.optimizer[key] * factors[key.rpartition("/")[2]], rtol=1e-5)


def moved(model: paddle.nn.Layer, optimizer: paddle.optimizer.Optimizer, seed: int | None) -> None:
    """Take a step with random gradients, or with none at all."""
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        if parameter.trainable:
            drawn = rng.normal(size=parameter.shape) if seed is not None else np.zeros(parameter.shape)
            parameter.grad = paddle.to_tensor(drawn.astype(np.float32))
    optimizer.step()


def test_several_labels_an_image_are_refused_with_what_to_do(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several = ("-o", "train.loss=bce", "data.format=list", "data.multi_label=true", f"data.root={tmp_path}")
    asked = ("--checkpoint", run_folder, *several, "--macs", 0.6, "--output", tmp_path / "plan.json")
    assert command(plan_command, *asked, "--importance", "taylor") == 2
    told = capsys.readouterr().err
    assert "found data.multi_label: true" in told
    assert "plan with another --importance than taylor or obs, and cut with --recalibrate 0" in told
    assert command(plan_command, *asked) == 0
    planned = ("--plan", tmp_path / "plan.json", "--output", tmp_path / "cut", "--recalibrate", 0)
    assert command(cut_command, "--checkpoint", run_folder, *several, *planned) == 0


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--protect", "stem"), "'stem' protects nothing: expected a group, a tensor or a pattern"),
        (("--protect", "stages.9.*"), "'stages.9.*' protects nothing"),
        (("--blocks", "--protect", "stages.0.*"), "--protect is for channels; leave one of them out"),
        (("--blocks", "--steps", 2), "--steps is for channels"),
        (("--blocks", "--round-to", 16), "--round-to is for channels"),
        (("--allocation", "global", "--trunk-share", 0.5), "expected --allocation density or uniform, found global"),
        (("--sensitivity", "x"), "expected --allocation sensitivity, found density"),
        (("--allocation", "sensitivity", "--sensitivity", "x", "--steps", 2), "expected --steps 1"),
        (("--importance", "obs", "--aggregate", "max"), "expected --aggregate flow, found max"),
        (("--importance", "path", "--aggregate", "mean"), "expected --aggregate flow, found mean"),
    ],
)
def test_flags_that_would_do_nothing_are_refused(
    flags: tuple[object, ...], told: str, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--checkpoint", run_folder, "--macs", 0.9, "--output", tmp_path / "plan.json", "--importance", "l1")
    assert command(plan_command, *asked, *flags) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "flags"),
    [
        (plan_command, ("--macs", 0.5, "--output", "x", "--steps", 0)),
        (plan_command, ("--macs", 0.5, "--output", "x", "--images", 0)),
        (plan_command, ("--macs", 0.5, "--output", "x", "--trunk-share", 1.5)),
        (plan_command, ("--macs", 0.5, "--output", "x", "--trunk-share", "nan")),
        (sensitivity_command, ("--output", "x", "--subset", 0)),
        (sensitivity_command, ("--output", "x", "--shares", 50)),
        (cut_command, ("--plan", "x", "--output", "x", "--recalibrate", -1)),
    ],
)
def test_numbers_that_mean_nothing_are_refused(module: object, flags: tuple[object, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        command(module, "--checkpoint", "x", *flags)
    assert ended.value.code == 2


def test_sensitivities_of_other_weights_are_refused(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_tiny(tmp_path / "other", seed=1)
    asked = ("--output", tmp_path, "--subset", 16, "--importance", "l1", "--shares", 0.5)
    assert command(sensitivity_command, "--checkpoint", tmp_path / "other", *asked) == 0
    use = ("--allocation", "sensitivity", "--sensitivity", tmp_path / "sensitivity.json", "--importance", "l1")
    planned = ("--macs", 0.7, "--output", tmp_path / "plan.json")
    assert command(plan_command, "--checkpoint", run_folder, *planned, *use) == 2
    assert "was measured on other weights than those that are cut" in capsys.readouterr().err


def test_images_that_cannot_be_read_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        for split in ("train", "test"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(4):
                Image.new("L", (8, 8), 20 * number).save(tmp_path / split / name / f"{number}.png")
    (tmp_path / "train" / "a" / "2.png").write_bytes(b"no image")
    data = {"format": "folder", "root": str(tmp_path), "max_broken": 0.2}
    values = {"model": {"num_classes": 2, "in_channels": 1}, "data": data}
    assert len(load_subset(from_dict(values), "train", 8).labels) == 7
    assert "a/2.png is left out" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"a/2\.png"):
        load_subset(from_dict({**values, "data": {**data, "max_broken": 0.0}}), "train", 8)


def test_blocks_are_dropped_by_the_commands(run_folder: Path, tmp_path: Path) -> None:
    shorter = cut_in_half(run_folder, tmp_path / "shorter", "--macs", 0.9, "--blocks")
    assert [len(stage) for stage in spec_of_checkpoint(read(shorter)).stages] == [1, 1]
    assert json.loads((tmp_path / "shorter.json").read_text())["drop"] == ["stages.0.0"]


def test_sensitivity_goes_on_where_it_was_cut_off(run_folder: Path, tmp_path: Path) -> None:
    asked = ("--checkpoint", run_folder, "--output", tmp_path, "--subset", 64, "--importance", "l1", "--shares", 0.5)
    assert command(sensitivity_command, *asked) == 0
    file = tmp_path / "sensitivity.json"
    whole = json.loads(file.read_text())
    with Image.open(tmp_path / "sensitivity.png") as picture:
        assert picture.format == "PNG"
    some = dict(whole["groups"])
    name = next(iter(some))
    kept = {key: value for key, value in some.items() if key != name}
    marked = next(iter(kept))
    kept[marked] = {"0.5": {"top1": 12.25, "loss": 2.5}}
    file.write_text(json.dumps({**whole, "groups": kept}))
    assert command(sensitivity_command, *asked) == 0
    again = json.loads(file.read_text())
    assert again["groups"][name] == whole["groups"][name], "what was missing is measured, and as before"
    assert again["groups"][marked] == kept[marked], "what was there is not measured again"
    assert command(sensitivity_command, *asked[:-4], "--importance", "l2", "--shares", 0.5) == 2
    assert again["settings"]["root"] is None
    elsewhere = {**again, "settings": {**again["settings"], "root": "elsewhere"}}
    file.write_text(json.dumps(elsewhere))
    assert command(sensitivity_command, *asked) == 2, "those of other images are not gone on with"
    file.write_text(json.dumps(again))
    plan = tmp_path / "plan.json"
    use = ("--allocation", "sensitivity", "--sensitivity", file, "--importance", "l1")
    assert command(plan_command, "--checkpoint", run_folder, "--macs", 0.7, "--output", plan, *use) == 0


def test_groups_too_small_for_every_share_are_written_without_rows(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--checkpoint", run_folder, "--output", tmp_path, "--subset", 16, "--importance", "l1", "--shares", 0.01)
    assert command(sensitivity_command, *asked) == 0
    told = capsys.readouterr().err
    found = read_sensitivity(tmp_path / "sensitivity.json")
    groups = {group.name for group in channel_graph(spec_of_checkpoint(read(resolve(run_folder))))}
    assert groups and dict(found.groups) == {name: {} for name in groups}
    assert all(f"{name}: " in told and "none of the shares takes one" in told for name in groups)
    assert command(sensitivity_command, *asked[:-1], 0.5) == 0, "what was written can be gone on with"
    assert all(read_sensitivity(tmp_path / "sensitivity.json").groups.values())


def random_subset() -> Subset:
    rng = np.random.default_rng(0)
    return Subset(rng.normal(size=(32, 1, 8, 8)).astype(np.float32), rng.integers(0, 10, 32), 16)


class Killed(Exception):  # noqa: N818
    pass


def test_what_a_kill_cut_off_is_kept(tmp_path: Path) -> None:
    checkpoint, subset, told = tiny_checkpoint(), random_subset(), []
    graph = channel_graph(spec_of_checkpoint(checkpoint))
    scored = scores(graph, checkpoint.weights, "l1")

    def die(line: str) -> None:
        told.append(line)
        if len(told) == 2:
            raise Killed

    cut_off = tmp_path / "cut_off.json"
    with pytest.raises(Killed):
        measure(checkpoint, graph, scored, subset, cut_off, {}, (0.5,), die)
    assert len(read_sensitivity(cut_off).groups) == 2 < len(graph.groups)
    whole = measure(checkpoint, graph, scored, subset, tmp_path / "whole.json", {}, (0.5,))
    assert measure(checkpoint, graph, scored, subset, cut_off, {}, (0.5,)) == whole
    other = tiny_checkpoint(seed=1)
    with pytest.raises(RequestError, match="holds measurements with other settings"):
        measure(other, graph, scored, subset, cut_off, {}, (0.5,))


def test_masking_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    checkpoint, subset = tiny_checkpoint(), random_subset()
    graph = channel_graph(spec_of_checkpoint(checkpoint))
    found = [
        measure(checkpoint, graph, scores(graph, checkpoint.weights, "l1"), subset, tmp_path / name, {}, (0.25, 0.5))
        for name in ("one.json", "other.json")
    ]
    assert found[0] == found[1]
    for name, points in found[0].groups.items():
        group = graph.groups[name]
        order = np.argsort(scores(graph, checkpoint.weights, "l1")[name], kind="stable")
        for share, measured in points.items():
            keep = tuple(sorted(order[round(share * group.units) :].tolist()))
            really = quality(model_of(cut(checkpoint, plan_of(checkpoint, graph, {name: keep}), graph)), subset)
            assert measured.loss == pytest.approx(really.loss, rel=1e-5)


def test_recalibrated_statistics_are_the_mean_over_batches_by_images() -> None:
    checkpoint = tiny_checkpoint()
    rng = np.random.default_rng(0)
    sizes = (16, 16, 4)
    batches = [rng.normal(number, 1 + number, (size, 1, 8, 8)).astype(np.float32) for number, size in enumerate(sizes)]
    found = recalibrated(checkpoint, batches)
    changed = {name for name in found.weights if (found.weights[name] != checkpoint.weights[name]).any()}
    assert changed == {name for name in checkpoint.weights if name.endswith(("._mean", "._variance"))}
    stem = checkpoint.weights["stem.conv.weight"]
    outs = [
        paddle.nn.functional.conv2d(paddle.to_tensor(b), paddle.to_tensor(stem), padding=1).numpy() for b in batches
    ]
    for name, figure in (("_mean", np.mean), ("_variance", np.var)):
        wanted = np.average([figure(out, axis=(0, 2, 3)) for out in outs], axis=0, weights=sizes)
        np.testing.assert_allclose(found.weights[f"stem.norm.{name}"], wanted, rtol=1e-4, atol=1e-5)


def test_the_network_that_is_cut_is_not_replaced(tmp_path: Path) -> None:
    run, plan = tmp_path / "run", tmp_path / "plan.json"
    save_tiny(run)
    before = weight_bytes(resolve(run))
    assert command(plan_command, "--checkpoint", run, "--macs", 0.6, "--output", plan, "--images", 64) == 0
    assert command(cut_command, "--checkpoint", run, "--plan", plan, "--output", run) == 2
    assert weight_bytes(resolve(run)) == before


def test_a_cut_goes_into_no_folder_of_another_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, plan, output = tmp_path / "run", tmp_path / "plan.json", tmp_path / "cut"
    save_tiny(run)
    assert command(plan_command, "--checkpoint", run, "--macs", 0.6, "--output", plan) == 0
    asked = ("--checkpoint", run, "--plan", plan, "--output", output, "--recalibrate", 0)
    assert command(cut_command, *asked) == 0
    assert command(cut_command, *asked) == 0, "the same cut is made again"
    before = weight_bytes(resolve(output))
    (output / "metrics.jsonl").touch()
    assert command(cut_command, *asked) == 2
    (output / "metrics.jsonl").unlink()
    Store(output / "checkpoints").save(tiny_checkpoint(), 9)
    assert command(cut_command, *asked) == 2
    assert "expected a folder without another network" in capsys.readouterr().err
    assert weight_bytes(Store(output / "checkpoints").path(7)) == before
