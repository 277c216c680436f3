"""Foreign weights become checkpoints that the other commands read."""

import json
import pickle
from pathlib import Path

import convert
import numpy as np
import paddle
import pytest
from pickles import save_zip
from safetensors.numpy import save_file

from ppresnet import cli
from ppresnet.checkpoint import read, resolve
from ppresnet.checkpoint.state import model_of
from ppresnet.models import create
from tests.tools.conftest import Tool

RECIPE = "configs/digits/resnet20.yaml"


def foreign(classes: int = 10, channels: int = 1) -> dict[str, np.ndarray]:
    """A CIFAR ResNet-20 under the names of pytorch_cifar, written down here once more."""
    paddle.seed(3)
    state = {}
    for name, tensor in create("cifar_resnet20", num_classes=classes, in_channels=channels).state_dict().items():
        parts = name.split(".")
        end = {"_mean": "running_mean", "_variance": "running_var"}.get(parts[-1], parts[-1])
        kind = {"conv": "conv", "norm": "bn"}.get(parts[-2], "linear")
        if parts[0] == "stages":
            layer = f"layer{int(parts[1]) + 1}.{parts[2]}.{kind}{int(parts[4]) + 1}"
        else:
            layer = "linear" if kind == "linear" else f"{kind}1"
        state[f"module.{layer}.{end}"] = np.ascontiguousarray(tensor.numpy().T if tensor.ndim == 2 else tensor.numpy())
    state["module.bn1.num_batches_tracked"] = np.array(5, np.int64)
    return state


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save_zip(tmp_path / "x.pth", foreign())


def command(weights: Path, output: Path, *more: object, source: str = "pytorch_cifar") -> int:
    arguments = ["-c", RECIPE, "--source", source, "--weights", weights, "--output", output]
    return cli.run(convert.main, convert.parse([str(part) for part in (*arguments, *more)]))


def test_a_checkpoint_of_the_recipe(weights: Path, tmp_path: Path) -> None:
    assert command(weights, tmp_path / "made", "--json", tmp_path / "made.json") == 0
    result = json.loads((tmp_path / "made.json").read_text())
    assert (len(result["mapped"]), result["unmapped"]) == (97, ["bn1.num_batches_tracked"])
    assert (result["reinitialised"], result["adapted"], result["format"]) == ([], [], "torch zip")
    assert {(row["data"], row["batch"], row["status"]) for row in result["parity"]} == {
        (data, batch, "ok") for data in ("random", "real") for batch in (1, 3)
    }
    assert max(row["rel_diff"] for row in result["parity"]) == 0.0
    assert "took the prefix 'module.' off every name" in result["notes"]
    checkpoint = read(resolve(tmp_path / "made"))
    assert checkpoint.progress["classes"] == [str(digit) for digit in range(10)]
    array = foreign()["module.linear.weight"].T
    np.testing.assert_array_equal(checkpoint.weights["head.fc.weight"], array)
    np.testing.assert_array_equal(model_of(checkpoint).head.fc.weight.numpy(), array)
    assert not list(tmp_path.glob(".*")), "nothing is left beside it"


def test_other_commands_read_it(weights: Path, tmp_path: Path, tool: Tool) -> None:
    assert command(weights, tmp_path / "made") == 0
    done = tool("eval.py", "--checkpoint", tmp_path / "made", "--json", tmp_path / "eval.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "eval.json").read_text())["images"] == 454
    done = tool("export.py", "--checkpoint", tmp_path / "made", "--output", tmp_path / "bundle", "--formats", "pdmodel")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bundle" / "labels.txt").read_text().split() == [str(digit) for digit in range(10)]


def test_other_classes_and_channels_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file(foreign(classes=100, channels=3), tmp_path / "x.safetensors")
    assert command(tmp_path / "x.safetensors", tmp_path / "made", "--json", tmp_path / "made.json") == 0
    result = json.loads((tmp_path / "made.json").read_text())
    assert [ours for _, ours in result["reinitialised"]] == ["head.fc.weight", "head.fc.bias"]
    assert "the 3 input channels of 'conv1.weight' were summed for 1" in result["adapted"][0]
    shown = capsys.readouterr().out
    assert "head.fc.weight, head.fc.bias were drawn anew and must be trained" in shown
    assert "summed for 1" in shown


def test_weights_of_paddle_are_compared_with_its_own_network(tmp_path: Path) -> None:
    twin = paddle.vision.models.resnet18(num_classes=10)
    paddle.save(twin.state_dict(), str(tmp_path / "x.pdparams"))
    more = ("-o", "model.name=resnet18", "model.in_channels=3", "data.input_size=32", "data.mean=[0.3,0.3,0.3]")
    more = (*more, "data.std=[0.4,0.4,0.4]", "data.augment=[]", "--json", tmp_path / "made.json")
    assert command(tmp_path / "x.pdparams", tmp_path / "made", *more, source="paddle_vision") == 0
    rows = json.loads((tmp_path / "made.json").read_text())["parity"]
    compared = [row for row in rows if row["format"] == "paddle_vision"]
    assert len(compared) == len(rows) / 2 >= 2
    assert {row["status"] for row in compared} == {"ok"}
    assert max(row["rel_diff"] for row in compared) <= 1e-4


@pytest.mark.parametrize(("value", "reason"), [(np.nan, "itself gave NaN or infinity"), (0.0, "only zeros")])
def test_outputs_that_mean_nothing_are_no_parity(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: float, reason: str
) -> None:
    state = foreign()
    for name in ("module.linear.weight", "module.linear.bias"):
        state[name] = np.full_like(state[name], value)
    assert command(save_zip(tmp_path / "x.pth", state), tmp_path / "made", "--json", tmp_path / "made.json") == 3
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "made").exists()
    assert {row["status"] for row in json.loads((tmp_path / "made.json").read_text())["parity"]} != {"ok"}


def test_nothing_is_overwritten(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(weights, tmp_path / "made") == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    assert command(weights, tmp_path / "made") == 2
    assert "exists already" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()} == before


class Touch:
    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return Path.touch, (Path("canary"),)  # type: ignore[return-value]


BAD = [
    ("a hostile file", pickle.dumps({"w": Touch()}), "is no part of a tensor"),
    ("another network", pickle.dumps({"w": np.ones(3, np.float32)}), "unexpected tensor 'w' [3]"),
    ("no weights", b"<html>", "expected safetensors"),
]


@pytest.mark.parametrize(("content", "reason"), [one[1:] for one in BAD], ids=[one[0] for one in BAD])
def test_bad_weights_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, reason: str
) -> None:
    (tmp_path / "x.pdparams").write_bytes(content)
    assert command(tmp_path / "x.pdparams", tmp_path / "made") == 2
    assert reason in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["x.pdparams"]


@pytest.mark.slow
def test_the_published_accuracy_of_a_published_file(shared: Path, tool: Tool, tmp_path: Path) -> None:
    recipe = ("-c", "configs/cifar10/resnet20.yaml", "-o", f"data.root={shared / 'data' / 'cifar10_jpeg.zip'}")
    published = shared / "reference" / "third_party" / "resnet20-12fca82f.th"
    source = ("--source", "pytorch_cifar", "--weights", published)
    done = tool("convert.py", *recipe, *source, "--output", tmp_path / "made", "--json", tmp_path / "made.json")
    assert done.returncode == 0, done.stderr
    colours = ("-o", "data.mean=[0.485,0.456,0.406]", "data.std=[0.229,0.224,0.225]")
    done = tool("eval.py", "--checkpoint", tmp_path / "made", *colours, "--json", tmp_path / "eval.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "eval.json").read_text())
    assert found["images"] == 10_000
    assert found["top1"] == pytest.approx(81.03, abs=0.02)
