"""Whole blocks: what each contributes, which go, and what is left."""

from dataclasses import replace

import numpy as np
import paddle
import pytest
from random_specs import RANDOM, random_checkpoint

from deploy.slim.cutting import cut
from deploy.slim.depth import contributions, depth_plan
from deploy.slim.families import family_of
from deploy.slim.grouping import channel_graph
from deploy.slim.plan_file import read_plan
from deploy.slim.planner import plan_of
from deploy.slim.subset import Subset, quality
from deploy.slim.target import Target
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import model_of, spec_of_checkpoint
from ppresnet.errors import RequestError
from ppresnet.models import cost
from ppresnet.spec import ModelSpec, spec_of

SPEC = spec_of("cifar_resnet20", input_size=8)
GRAPH = channel_graph(SPEC)


def subset_of(spec: ModelSpec) -> Subset:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(8, spec.in_channels, spec.input_size, spec.input_size)).astype(np.float32)
    return Subset(images, rng.integers(0, spec.num_classes, 8), 8)


def without_effect(checkpoint: Checkpoint, block: str) -> Checkpoint:
    """Let the branch of a block add nothing."""
    weights = {
        name: array * 0 if name.startswith(f"{block}.") and not name.endswith("._variance") else array
        for name, array in checkpoint.weights.items()
    }
    return replace(checkpoint, weights=weights, ema={})


def with_blocks(family: str) -> ModelSpec:
    """Return a random spec of a family that has a block to drop and a ReLU, which does nothing twice."""
    rng = np.random.default_rng(0)
    while True:
        spec = RANDOM[family](rng)
        spec = spec if family == "vit" else spec.model_copy(update={"act": "relu"})
        if len(family_of(spec).blocks(spec)) > 1:
            return spec


@pytest.mark.parametrize("spec", [SPEC, with_blocks("preact"), with_blocks("vit")], ids=lambda spec: spec.family)
def test_a_block_that_adds_nothing_costs_nothing(spec: ModelSpec) -> None:
    block = family_of(spec).blocks(spec)[0]
    checkpoint = without_effect(random_checkpoint(spec, np.random.default_rng(1)), block)
    graph, subset = channel_graph(spec), subset_of(spec)
    smaller = cut(checkpoint, plan_of(checkpoint, graph, {}, (block,)), graph)
    assert cost(spec_of_checkpoint(smaller)).macs < cost(spec).macs
    images = paddle.to_tensor(subset.images)
    np.testing.assert_allclose(model_of(smaller)(images), model_of(checkpoint)(images), atol=1e-5)
    measured = contributions(checkpoint, graph, subset)
    whole = quality(model_of(checkpoint), subset)
    assert measured[block].loss == pytest.approx(whole.loss, abs=1e-6)
    assert all(abs(found.loss - whole.loss) > 1e-4 for name, found in measured.items() if name != block)


def test_blocks_go_by_what_they_contribute_until_the_target_is_met(tmp_path) -> None:
    checkpoint = random_checkpoint(SPEC, np.random.default_rng(0))
    measured = contributions(checkpoint, GRAPH, subset_of(SPEC))
    # Those that change the width have no identity as their skip.
    assert sorted(measured) == [f"stages.{s}.{b}" for s in range(3) for b in range(3) if (s, b) not in ((1, 0), (2, 0))]
    plan = depth_plan(checkpoint, GRAPH, measured, Target("macs", 0.7))
    order = sorted(measured, key=lambda name: measured[name].loss)
    assert list(plan.drop) == order[: len(plan.drop)]
    one_less = plan_of(checkpoint, GRAPH, {}, plan.drop[:-1])
    assert plan.after.macs / plan.before.macs <= 0.7 < one_less.after.macs / one_less.before.macs
    plan.write(tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    with pytest.raises(RequestError, match="one in every stage"):
        depth_plan(checkpoint, GRAPH, measured, Target("macs", 0.05))


def test_the_blocks_behind_move_up_with_all_their_state() -> None:
    checkpoint = random_checkpoint(SPEC, np.random.default_rng(0))
    smaller = cut(checkpoint, plan_of(checkpoint, GRAPH, {}, ("stages.1.1",)), GRAPH)
    assert [len(stage) for stage in spec_of_checkpoint(smaller).stages] == [3, 2, 3]
    name = "branch.0.conv.weight"
    for before, after in (
        (checkpoint.weights, smaller.weights),
        (checkpoint.ema, smaller.ema),
        ({key.partition("/")[0]: array for key, array in checkpoint.optimizer.items()},
         {key.partition("/")[0]: array for key, array in smaller.optimizer.items()}),
    ):  # fmt: skip
        np.testing.assert_array_equal(after[f"stages.1.1.{name}"], before[f"stages.1.2.{name}"])
        np.testing.assert_array_equal(after[f"stages.1.0.{name}"], before[f"stages.1.0.{name}"])
        np.testing.assert_array_equal(after[f"stages.2.1.{name}"], before[f"stages.2.1.{name}"])
        assert not [key for key in after if key.startswith("stages.1.2.")]


def test_blocks_and_channels_go_in_one_plan() -> None:
    checkpoint = random_checkpoint(SPEC, np.random.default_rng(0))
    plan = plan_of(checkpoint, GRAPH, {"stages.1.2.branch.0.conv": (1, 4)}, ("stages.1.1",))
    smaller = cut(checkpoint, plan, GRAPH)
    assert cost(spec_of_checkpoint(smaller)).macs == plan.after.macs
    found = smaller.weights["stages.1.1.branch.0.conv.weight"]
    np.testing.assert_array_equal(found, checkpoint.weights["stages.1.2.branch.0.conv.weight"][[1, 4]])
