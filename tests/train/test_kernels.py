"""Whose kernels a run trains with: said, kept with the run, and no other result."""

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from machine import MACHINE

from ppresnet import onednn
from ppresnet.checkpoint import read
from ppresnet.checkpoint.state import model_of
from ppresnet.config import RunConfig, from_dict
from ppresnet.onednn import switch
from ppresnet.train.journal import read_records
from ppresnet.train.kernels import training_kernels
from ppresnet.train.run import train
from ppresnet.train.start import teacher_of


def recipe(**sections: Any) -> RunConfig:
    values: dict[str, Any] = {"train": {"epochs": 1}, "log": {"every": 1, "visualdl": False}}
    return from_dict(values | sections)


@pytest.fixture
def library() -> onednn.Library:
    try:
        return onednn.open_library()
    except onednn.OneDnnError as error:
        pytest.skip(f"no oneDNN to test: {error}")


def losses(folder: Path) -> np.ndarray:
    return np.array([record["loss"] for record in read_records(folder / "metrics.jsonl") if record["kind"] == "train"])


def test_a_run_says_and_keeps_whose_kernels_it_used(library: onednn.Library, tmp_path: Path) -> None:
    version = ".".join(map(str, library.version))
    lines: list[str] = []
    train(recipe(), tmp_path / "ours", MACHINE, report=lines.append)
    assert f"training kernels: oneDNN {version}, float32, equal to Paddle's in a trial" in lines
    assert json.loads((tmp_path / "ours/hardware.json").read_text()) == dataclasses.asdict(MACHINE) | {
        "onednn": version,
        "processes": 1,
    }
    assert onednn.active() is None
    train(recipe(hardware={"onednn": "disabled"}), tmp_path / "stock", MACHINE, report=lines.append)
    assert json.loads((tmp_path / "stock/hardware.json").read_text())["onednn"] is None
    ours, stock = losses(tmp_path / "ours"), losses(tmp_path / "stock")
    np.testing.assert_allclose(ours[:3], stock[:3], rtol=1e-4)
    assert (ours != stock).any()  # two libraries round differently


def test_without_the_library_a_run_is_that_of_stock_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    train(recipe(hardware={"onednn": "disabled"}), tmp_path / "stock", MACHINE, report=lines.append)
    monkeypatch.setattr(switch, "library_path", lambda: tmp_path / "libdnnl.so.3")
    result = train(recipe(), tmp_path / "hidden", MACHINE, report=lines.append)
    stock = next((tmp_path / "stock/checkpoints").glob("step-*"))
    assert sum("Paddle's own, since Paddle" in line and "brings no libdnnl.so.3" in line for line in lines) == 1
    for name, tensor in read(Path(result.last)).weights.items():
        np.testing.assert_array_equal(tensor, read(stock).weights[name])


@pytest.mark.parametrize(("before", "active"), [(None, False), ("0.0.1", True), ("", True)])
def test_auto_goes_on_with_the_kernels_of_the_run(library: onednn.Library, before: str | None, active: bool) -> None:
    lines: list[str] = []
    with training_kernels(recipe(), lines.append, {"onednn": before} if before != "" else {}) as kept:
        assert (onednn.active() is not None) is active is (kept["onednn"] is not None)
    assert any("before and uses" in line for line in lines) is (before == "0.0.1")
    assert any("as the run has had them so far" in line for line in lines) is (before is None)


def test_bfloat16_means_inside_the_kernels(library: onednn.Library) -> None:
    lines: list[str] = []
    with training_kernels(recipe(amp={"level": "O1", "dtype": "bfloat16"}), lines.append):
        kernels = onednn.active()
        assert kernels is not None and kernels.compute == onednn.switch.COMPUTE["bfloat16"]
    assert ", bfloat16," in lines[0]


def test_a_teacher_runs_on_the_kernels_of_training_and_stays_as_it_is(library: onednn.Library, tmp_path: Path) -> None:
    trained = train(recipe(hardware={"onednn": "disabled"}), tmp_path / "run", MACHINE)
    config = recipe(distill={"checkpoint": trained.checkpoint})
    images = paddle.randn([8, 1, 8, 8])
    wanted = model_of(read(Path(trained.checkpoint)))(images)
    with training_kernels(config, str):
        teacher = teacher_of(config, model_of(read(Path(trained.checkpoint))).spec)
        assert teacher is not None
        kernels = onednn.active()
        assert kernels is not None and not len(kernels.cache)
        found = teacher(images)
        assert len(kernels.cache) >= 6  # distinct shapes of convolutions
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-4, atol=1e-4)
    kept = read(Path(trained.checkpoint)).weights
    assert all((tensor.numpy() == kept[name]).all() for name, tensor in teacher.state_dict().items())


@pytest.mark.slow(drawn=False)  # trains on stock kernels for minutes
@pytest.mark.parametrize("amp", [{}, {"level": "O1", "dtype": "bfloat16"}], ids=["float32", "bfloat16"])
def test_loss_curve_of_two_hundred_steps_is_that_of_stock_kernels(
    library: onednn.Library, shared: Path, amp: dict[str, str], tmp_path: Path
) -> None:
    """A small rate that rises from nothing, as recipes begin: a large one makes any rounding grow past all bounds.

    At 0.05, Paddle's own kernels differ by 1.3 % from themselves with another number of threads.
    """
    root = tmp_path / "part.zip"
    with zipfile.ZipFile(shared / "data/cifar10_jpeg.zip") as whole, zipfile.ZipFile(root, "w") as part:
        for member in whole.namelist():
            split, *_, name = member.split("/")
            if name.endswith(".jpg") and int(name[:-4]) < (2560 if split == "train" else 10):
                part.writestr(member, whole.read(member))
    common: dict[str, Any] = {
        "model": {"name": "cifar_resnet20", "in_channels": 3},
        "data": {"format": "folder", "root": str(root), "input_size": 32, "mean": [0.5] * 3, "std": [0.25] * 3},
        "train": {"epochs": 1, "batch_size": 128},
        "optim": {"lr": 0.02},
        "schedule": {"warmup_epochs": 1},
        "log": {"every": 20, "visualdl": False},
    }
    train(recipe(**common, hardware={"onednn": "disabled"}), tmp_path / "stock", MACHINE)
    train(recipe(**common, amp=amp), tmp_path / "ours", MACHINE)
    ours, stock = losses(tmp_path / "ours"), losses(tmp_path / "stock")
    assert len(stock) == 10
    np.testing.assert_allclose(ours, stock, rtol=0.01)
