"""The life of a pruned checkpoint, with the commands: measured, planned, cut, trained on, cut again, exported."""

import json
import subprocess
import sys
from pathlib import Path

import export
import numpy as np
import paddle
import pytest
from PIL import Image
from random_specs import random_checkpoint
from tiny_network import save_tiny, tiny_checkpoint

from deploy.slim import cut as cut_command
from deploy.slim import plan as plan_command
from deploy.slim import sensitivity as sensitivity_command
from deploy.slim.cutting import cut
from deploy.slim.depth import contributions, depth_plan
from deploy.slim.grouping import channel_graph
from deploy.slim.importance import scores
from deploy.slim.planner import plan_of
from deploy.slim.recalibration import recalibrated
from deploy.slim.sensitivities import measure
from deploy.slim.subset import Subset, quality
from deploy.slim.target import Target
from ppresnet import cli
from ppresnet.checkpoint import read, resolve
from ppresnet.checkpoint.state import model_of, spec_of_checkpoint
from ppresnet.config import from_dict
from ppresnet.errors import RequestError
from ppresnet.hardware import Hardware
from ppresnet.spec import spec_of
from ppresnet.train.run import train

ROOT = Path(__file__).resolve().parents[3]
MACHINE = Hardware(cpu="a CPU", mkl_cpu_type=None, threads=1, device="cpu", reason="a test")


def command(module, *arguments: object) -> int:
    return cli.run(module.main, module.parse([str(argument) for argument in arguments]))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    save_tiny(folder)
    return folder


def cut_in_half(run: Path, output: Path, *more: object) -> Path:
    plan = output.with_suffix(".json")
    assert command(plan_command, "--checkpoint", run, "--macs", 0.6, "--output", plan, "--images", 64, *more) == 0
    assert command(cut_command, "--checkpoint", run, "--plan", plan, "--output", output, "--recalibrate", 64) == 0
    return resolve(output)


def weight_bytes(step: Path) -> int:
    return (step / "weights.safetensors").stat().st_size


def test_a_pruned_checkpoint_is_an_ordinary_one(run_folder: Path, tmp_path: Path) -> None:
    whole = read(resolve(run_folder))
    first = cut_in_half(run_folder, tmp_path / "first", "--picture", tmp_path / "groups.svg")
    assert "<title>stem.conv: 4 units" in (tmp_path / "groups.svg").read_text()
    smaller = read(first)
    lost = sum(a.nbytes for a in whole.weights.values()) - sum(a.nbytes for a in smaller.weights.values())
    assert weight_bytes(resolve(run_folder)) - weight_bytes(first) == pytest.approx(lost, abs=300)
    assert lost > 0
    assert smaller.progress["best"] is None
    # It loads in a process that does not know of pruning.
    code = (
        "import sys; from pathlib import Path; from ppresnet.checkpoint import read; "
        "from ppresnet.checkpoint.state import model_of; import paddle; "
        f"print(float(model_of(read(Path({str(first)!r})))(paddle.ones([1, 1, 8, 8])).sum())); "
        "assert not any(name.startswith('deploy') for name in sys.modules)"
    )
    fresh = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert fresh.returncode == 0, fresh.stderr
    trained = train_on(first, tmp_path / "trained")
    second = cut_in_half(trained, tmp_path / "second", "--importance", "l1", "--allocation", "global", "--steps", 2)
    assert weight_bytes(second) < weight_bytes(first)
    arguments = ["--checkpoint", str(second), "--output", str(tmp_path / "bundle"), "--json", str(tmp_path / "b.json")]
    assert cli.run(export.main, export.parse(arguments)) == 0
    assert max(row["rel_diff"] for row in json.loads((tmp_path / "b.json").read_text())["parity"]) <= 1e-5


def train_on(checkpoint: Path, output: Path) -> Path:
    fields = {
        "init_from": str(checkpoint),
        "model": {"num_classes": 10, "in_channels": 1},
        "data": {"format": "digits"},
        "train": {"epochs": 1},
        "log": {"visualdl": False},
    }
    train(from_dict(fields), output, MACHINE, report=lambda line: None)
    return output


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
    plan = tmp_path / "plan.json"
    use = ("--allocation", "sensitivity", "--sensitivity", file, "--importance", "l1")
    assert command(plan_command, "--checkpoint", run_folder, "--macs", 0.7, "--output", plan, *use) == 0


def test_masking_leaves_the_network_as_it_was(run_folder: Path, tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint()
    graph = channel_graph(spec_of_checkpoint(checkpoint))
    rng = np.random.default_rng(0)
    subset = Subset(rng.normal(size=(32, 1, 8, 8)).astype(np.float32), rng.integers(0, 10, 32), 16)
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


def test_blocks_are_dropped_and_the_others_move_up(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(spec_of("cifar_resnet20", input_size=8), np.random.default_rng(0))
    spec = spec_of_checkpoint(checkpoint)
    graph = channel_graph(spec)
    rng = np.random.default_rng(0)
    subset = Subset(rng.normal(size=(8, 3, 8, 8)).astype(np.float32), rng.integers(0, 10, 8), 8)
    measured = contributions(checkpoint, graph, subset)
    assert sorted(measured) == [f"stages.{s}.{b}" for s in range(3) for b in range(3) if (s, b) not in ((1, 0), (2, 0))]
    plan = depth_plan(checkpoint, graph, measured, Target("macs", 0.7))
    assert plan.after.macs / plan.before.macs <= 0.7
    assert list(plan.drop) == sorted(measured, key=lambda name: measured[name].loss)[: len(plan.drop)]
    smaller = cut(checkpoint, plan.model_copy(update={"drop": ("stages.1.1",)}), graph)
    assert [len(stage) for stage in spec_of_checkpoint(smaller).stages] == [3, 2, 3]
    name = "branch.0.conv.weight"
    np.testing.assert_array_equal(smaller.weights[f"stages.1.1.{name}"], checkpoint.weights[f"stages.1.2.{name}"])
    assert not [key for key in smaller.weights if key.startswith("stages.1.2.")]
    with pytest.raises(RequestError, match="one in every stage"):
        depth_plan(checkpoint, graph, measured, Target("macs", 0.05))


def test_recalibrated_statistics_are_the_mean_over_batches() -> None:
    checkpoint = tiny_checkpoint()
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(16, 1, 8, 8)).astype(np.float32) for _ in range(3)]
    found = recalibrated(checkpoint, batches)
    changed = {name for name in found.weights if (found.weights[name] != checkpoint.weights[name]).any()}
    assert changed == {name for name in checkpoint.weights if name.endswith(("._mean", "._variance"))}
    stem = checkpoint.weights["stem.conv.weight"]
    outs = [
        paddle.nn.functional.conv2d(paddle.to_tensor(b), paddle.to_tensor(stem), padding=1).numpy() for b in batches
    ]
    mean = np.mean([out.mean(axis=(0, 2, 3)) for out in outs], axis=0)
    np.testing.assert_allclose(found.weights["stem.norm._mean"], mean, atol=1e-5)
