"""The weights that the CIFAR-10 recipe left."""

import hashlib
from pathlib import Path

import pytest
from trained import TOP1, WEIGHTS, cifar10, trained_resnet20

from deploy.slim.subset import load_subset, quality

SOME = 500
RIGHT = 89.2  # percent of these


def test_the_weights_are_those_of_the_readme() -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() in readme
    assert f"{TOP1} %" in readme


def test_some_images_are_recognised(shared: Path) -> None:
    assert quality(trained_resnet20(), load_subset(cifar10(shared), "val", SOME)).top1 == pytest.approx(RIGHT, abs=0.4)


@pytest.mark.slow
def test_all_images_give_the_accuracy_of_the_readme(shared: Path) -> None:
    top1 = quality(trained_resnet20(), load_subset(cifar10(shared), "val", 10_000)).top1
    assert top1 == pytest.approx(TOP1, abs=0.05)
