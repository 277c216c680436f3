"""What the trained ResNet-20 keeps on its way: exported, pruned, in int8, on a board; on real images it never saw."""

import json
import zipfile
from pathlib import Path

import export
import numpy as np
import paddle
import pytest
from absent import need_paddleslim
from numpy.typing import NDArray
from trained import TOP1, cifar10, save_trained, trained_resnet20

from deploy.inference import Session
from deploy.lite import convert, verify
from deploy.slim import cut, plan, quantize
from deploy.slim.int8 import proof
from deploy.slim.subset import Subset, load_subset
from ppresnet import cli

SOME, MANY = 500, 2000
ON_BOARD = 50


def run(command: object, *arguments: object) -> int:
    return cli.run(command.main, command.parse([str(part) for part in arguments]))  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def checkpoint(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_trained(shared, tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("exported") / "bundle"
    assert run(export, "--checkpoint", checkpoint, "--output", made, "--formats", "pdmodel") == 0
    return made


@pytest.fixture(scope="module")
def images(shared: Path) -> Subset:
    return load_subset(cifar10(shared), "val", SOME)


def answers(session: Session, subset: Subset) -> NDArray[np.int64]:
    return np.concatenate([session(images).argmax(1) for images, _ in subset.batches()])


def test_the_bundle_gives_every_image_the_class_that_the_network_gives_it(bundle: Path, images: Subset) -> None:
    network = trained_resnet20()
    with paddle.no_grad():
        expected = np.concatenate([network(paddle.to_tensor(batch)).numpy().argmax(1) for batch, _ in images.batches()])
    found = answers(Session(bundle), images)
    np.testing.assert_array_equal(found, expected)
    assert 85 < 100 * (found == images.labels).mean() < 95


def pruned_top1(checkpoint: Path, folder: Path, fitted: int, *rule: object) -> float:
    """Return the top-1 of the network without 30 % of its MACs, before it is trained again."""
    cost = ("--macs", 0.7, "--scope", "internal")
    assert run(plan, "--checkpoint", checkpoint, "--output", folder / "plan.json", *cost, *rule) == 0
    look = ("--reconstruct", fitted, "--evaluate", MANY, "--json", folder / "cut.json")
    given = ("--checkpoint", checkpoint, "--plan", folder / "plan.json")
    assert run(cut, *given, "--output", folder / "cut", *look) == 0
    found = json.loads((folder / "cut.json").read_text())
    assert found["after"]["macs"] <= 0.7 * found["before"]["macs"]
    return float(found["top1_after"])


@pytest.mark.slow
def test_our_cut_costs_less_than_one_by_a_single_tensor(checkpoint: Path, tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    ours = pruned_top1(checkpoint, tmp_path / "ours", 256)
    theirs = pruned_top1(checkpoint, tmp_path / "theirs", 0, "--importance", "l1", "--aggregate", "first")
    assert ours > theirs + 1


def test_on_a_board_it_gives_the_same_classes(python: Path, shared: Path, bundle: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    with zipfile.ZipFile(shared / "data" / "cifar10_jpeg.zip") as archive:
        names = [name for name in archive.namelist() if name.startswith("test/") and name.endswith(".jpg")]
        archive.extractall(pictures, names[:: len(names) // ON_BOARD])
    assert run(convert, "--model", bundle, "--output", tmp_path / "board", "--target", "x86") == 0
    compared = ("--model", bundle, "--images", pictures, "--json", tmp_path / "found.json")
    assert run(verify, "--folder", tmp_path / "board", *compared) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["top1_agreement"] == 100
    assert max(row["rel_diff"] for row in found["parity"]) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("pruned", [False, True], ids=["whole", "pruned"])
def test_int8_loses_half_a_point_at_most_with_every_convolution(
    python: Path, shared: Path, checkpoint: Path, tmp_path: Path, pruned: bool
) -> None:
    need_paddleslim("int8")
    if pruned:
        pruned_top1(checkpoint, tmp_path, 256)
    float_one = tmp_path / "cut" if pruned else checkpoint
    asked = ("--checkpoint", float_one, "--output", tmp_path / "int8", "--json", tmp_path / "found.json")
    assert run(quantize, *asked, "--floor", 0.5) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert pruned or found["top1_before"] == pytest.approx(TOP1, abs=0.05)
    assert found["top1_after"] >= found["top1_before"] - 0.5
    images = load_subset(cifar10(shared), "val", 10_000)
    board = ("--target", "arm", "--precision", "int8", "--output", tmp_path / "board", "--json", tmp_path / "lite.json")
    assert run(convert, "--model", tmp_path / "int8", *board) == 0
    fusion = json.loads((tmp_path / "lite.json").read_text())["fusion"]
    assert fusion["convs"] == fusion["int8_convs"] == found["int8_convs"] == 21  # two are skips
    seen = answers(Session(tmp_path / "int8", proof.INT8), images)
    assert 100 * (seen == images.labels).mean() == pytest.approx(found["top1_after"], abs=0.05)
