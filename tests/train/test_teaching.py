"""Maps of a teacher's stages as hints: the formula, who gives them, and which networks cannot take them."""

from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from machine import MACHINE

from ppresnet.checkpoint import read
from ppresnet.config import from_dict
from ppresnet.data import Batch
from ppresnet.errors import ConfigError
from ppresnet.models import create
from ppresnet.train.passes import Passes
from ppresnet.train.run import train
from ppresnet.train.teaching import map_difference, maps_of

FAMILIES = ["cifar_resnet20", "cifar_preact_resnet164", "cifar_densenet40_12", "lcnet_100"]


def test_the_difference_is_relative_to_the_teachers_maps() -> None:
    random = np.random.default_rng(0)
    own, wanted = ([random.standard_normal((2, 3, size, size)) for size in (4, 2)] for _ in range(2))
    expected = np.mean([((a - b) ** 2).mean() / (b**2).mean() for a, b in zip(own, wanted, strict=True)])
    found = map_difference(*([paddle.to_tensor(one, "float32") for one in maps] for maps in (own, wanted)))
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_stage_gives_a_map_of_its_pyramid(name: str) -> None:
    network = create(name, num_classes=10)
    network.eval()
    with maps_of(network) as maps:
        network(paddle.rand([1, 3, 64, 64]))
    assert [one.shape[1] for one in maps] == [level.channels for level in network.pyramid]
    network(paddle.rand([1, 3, 64, 64]))
    assert len(maps) == len(network.pyramid)  # nothing listens any more


def test_hints_are_part_of_the_loss_and_of_the_gradient() -> None:
    images = np.random.default_rng(1).standard_normal((4, 1, 8, 8)).astype(np.float32)
    batch = Batch(images, np.array([0, 1, 2, 3]), np.arange(4), ())
    paddle.seed(1)
    student, teacher = (create("cifar_resnet20", in_channels=1) for _ in range(2))
    teacher.eval()

    def loss(maps: float) -> float:
        config = from_dict({"distill": {"checkpoint": "a file", "weight": 0.5, "maps": maps}})
        student.clear_gradients()
        ((found, _, _),) = Passes(config, student, teacher).run(batch, 0, 0, 1, lambda count: 1.0)
        return found

    with maps_of(student) as own:
        student(paddle.to_tensor(images))
    with maps_of(teacher) as wanted:
        teacher(paddle.to_tensor(images))
    hint, plain = float(map_difference(own, wanted)), loss(0.0)
    alone = student.stem.conv.weight.grad.numpy()
    assert loss(2.0) == pytest.approx(plain + 2.0 * hint, rel=1e-4)
    assert not np.allclose(student.stem.conv.weight.grad.numpy(), alone, rtol=1e-2)
    assert all(one.grad is None for one in teacher.parameters())


def recipe(**distill: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"train": {"epochs": 1, "batch_size": 512}, "schedule": {"warmup_epochs": 0}}
    return found | {"log": {"visualdl": False}, **({"distill": distill} if distill else {})}


def test_a_run_learns_from_maps_of_its_own_widths_only(tmp_path: Path) -> None:
    def run(values: dict[str, Any], name: str) -> Any:
        return train(from_dict(values), tmp_path / name, MACHINE, report=lambda _: None)

    teacher = run(recipe(), "teacher").checkpoint
    told, alone = (run(recipe(checkpoint=teacher, maps=maps), f"maps {maps}") for maps in (5.0, 0.0))
    name = "stages.0.0.branch.0.conv.weight"
    assert (read(told.last).weights[name] != read(alone.last).weights[name]).any()
    other = recipe(checkpoint=teacher, maps=1.0) | {"model": {"name": "cifar_wrn16_8"}}
    with pytest.raises(ConfigError, match=r"distill.maps: expected stages .*allocation.scope: internal"):
        run(other, "other")
