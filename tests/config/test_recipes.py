"""Every committed recipe loads, says how to run it, and repeats nothing that its base has."""

from pathlib import Path
from typing import Any

import pytest

from ppresnet.config import load
from ppresnet.config.tree import plain
from ppresnet.config.yaml12 import parse

CONFIGS = Path(__file__).parents[2] / "configs"
GROUPS = ("digits", "cifar10", "imagenet")
RECIPES = sorted(path for group in GROUPS for path in (CONFIGS / group).glob("*.yaml"))
BASES = sorted((CONFIGS / "_base_").glob("*.yaml"))
NAMES = [f"{path.parent.name}/{path.stem}" for path in RECIPES]
HEADER = ("# command:  python tools/", "# hardware: ", "# time:     ", "# expected: ", "# source:   ")


def values(path: Path) -> dict[str, Any]:
    entry, problems = parse(path.read_text(encoding="utf-8"), str)
    assert entry is not None and not problems
    return {key: plain(item) for key, item in entry.value.items()}


def leaves(tree: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= leaves(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: value}
    return found


def test_the_recipes_are_there() -> None:
    assert len(BASES) >= 3
    assert {
        "digits/resnet20",
        *(f"cifar10/{name}" for name in ("resnet20", "resnet56", "resnet110", "plain20", "plain56")),
        *(f"imagenet/{name}" for name in ("resnet18", "resnet50", "resnext50_32x4d")),
    } <= set(NAMES)


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_a_recipe_loads_under_its_own_name(path: Path) -> None:
    config = load(path)
    assert config.name.startswith(path.parent.name)
    assert config.output == f"runs/{config.name}"


def test_no_two_recipes_share_a_name() -> None:
    names = [load(path).name for path in RECIPES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_a_recipe_says_how_to_run_it_and_what_to_expect(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    for start in HEADER:
        assert any(line.startswith(start) for line in lines), start
    command = next(line for line in lines if line.startswith(HEADER[0]))
    assert f"-c configs/{path.parent.name}/{path.name}" in command
    assert ("data.root=" in command) == (load(path).data.format != "digits")


@pytest.mark.parametrize("path", RECIPES + BASES, ids=str)
def test_an_editor_finds_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    start = "# yaml-language-server: $schema="
    assert first.startswith(start)
    assert (path.parent / first.removeprefix(start)).resolve() == (CONFIGS / "schema.json").resolve()


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_a_recipe_repeats_nothing_of_its_base(path: Path) -> None:
    own = values(path)
    base = own.pop("_base_")
    for name in [base] if isinstance(base, str) else base:
        below = leaves(values(path.parent / name))
        repeated = {key for key, value in leaves(own).items() if key in below and below[key] == value}
        assert not repeated


def test_cifar10_is_normalised_and_augmented_as_published() -> None:
    config = load(CONFIGS / "cifar10" / "resnet56.yaml")
    assert (config.data.mean, config.data.std) == ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    assert [step["name"] for step in config.data.augment] == ["random_crop", "random_flip"]
    assert config.data.augment[0]["padding"] == 4
    assert (config.train.batch_size, config.optim.lr, config.optim.weight_decay) == (128, 0.1, 5e-4)
    assert config.optim.nesterov and config.schedule.name == "cosine" and config.train.label_smoothing == 0
