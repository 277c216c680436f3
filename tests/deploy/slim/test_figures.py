"""Widths in the report are those of the same layer before and after, also where blocks went."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from random_specs import random_checkpoint

from deploy.slim.cutting import cut_tensors, name_left
from deploy.slim.grouping import channel_graph
from deploy.slim.kept import Kept
from deploy.slim.pipeline.figures import widths
from ppresnet.checkpoint import Store
from ppresnet.spec import spec_of


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("stages.1.0.branch.0.conv", "stages.1.0.branch.0.conv"),
        ("stages.1.1.branch.0.conv", None),
        ("stages.1.2.branch.0.conv", "stages.1.1.branch.0.conv"),
        ("stages.2.2.branch.0.conv", "stages.2.2.branch.0.conv"),
        ("head.fc", "head.fc"),
    ],
)
def test_blocks_behind_a_dropped_one_move_up(name: str, left: str | None) -> None:
    assert name_left(name, ["stages.1.1"]) == left


def test_each_layer_is_found_again_after_two_rounds_without_blocks(tmp_path: Path) -> None:
    spec = spec_of("cifar_resnet20", in_channels=1, input_size=8)
    graph = channel_graph(spec)
    # The last block is narrower inside, so that it can be told from the one in whose place it comes.
    group = next(name for name in graph.groups if name.startswith("stages.1.2.branch.0"))
    whole = random_checkpoint(spec, np.random.default_rng(4))
    once = cut_tensors(whole, spec, Kept(graph, {group: tuple(range(5))}), frozenset({"stages.1.1"}))
    smaller = type(spec).model_validate(once.spec)
    twice = cut_tensors(once, smaller, Kept(channel_graph(smaller), {}), frozenset({"stages.2.1"}))
    paths = [Store(tmp_path / name).save(each, 1) for name, each in (("whole", whole), ("twice", twice))]
    rounds = [
        SimpleNamespace(plan={"drop": [drop]}, finetune={"checkpoint": paths[1]})
        for drop in ("stages.1.1", "stages.2.1")
    ]
    found = widths(SimpleNamespace(checkpoint=paths[0], rounds=rounds))  # type: ignore[arg-type]
    gone = [name for name, (_, after) in found.items() if after == 0]
    assert gone and all(name.startswith(("stages.1.1.", "stages.2.1.")) for name in gone)
    changed = [name for name, (before, after) in found.items() if after not in (0, before)]
    assert changed == [group] and found[group] == (32, 5)
