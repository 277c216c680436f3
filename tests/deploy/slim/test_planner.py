"""Plans: targets are met from below, limits hold, and several cuts are one plan."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_specs import RANDOM, random_checkpoint

from deploy.slim.allocation import Allocation, Limits, ranked, sensitive, uniform
from deploy.slim.cutting import cut
from deploy.slim.grouping import channel_graph
from deploy.slim.groups import ChannelGraph
from deploy.slim.importance import scores
from deploy.slim.plan_file import read_plan
from deploy.slim.planner import make_plan, plan_of
from deploy.slim.target import Target
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import final_weights, model_of, spec_of_checkpoint
from ppresnet.errors import RequestError
from ppresnet.models import cost
from ppresnet.spec import spec_of

SPEC = spec_of("cifar_resnet20", input_size=16)
CHECKPOINT = random_checkpoint(SPEC, np.random.default_rng(0))
GRAPH = channel_graph(SPEC)


def uniformly(limits: Limits = Limits()):  # noqa: B008
    def allocate(checkpoint: Checkpoint, graph: ChannelGraph) -> Allocation:
        return uniform(graph, scores(graph, final_weights(checkpoint)), limits)

    return allocate


def globally(checkpoint: Checkpoint, graph: ChannelGraph) -> Allocation:
    return ranked(graph, scores(graph, final_weights(checkpoint)), Limits())


@pytest.mark.parametrize("allocator", [uniformly(), globally])
@pytest.mark.parametrize(("kind", "share"), [("macs", 0.5), ("macs", 0.7), ("params", 0.4)])
def test_a_target_is_met_from_below_and_closely(allocator, kind, share: float) -> None:
    plan = make_plan(CHECKPOINT, Target(kind, share), allocator, graph=GRAPH)
    reached = getattr(plan.after, kind) / getattr(plan.before, kind)
    assert share - 0.03 < reached <= share
    smaller = cut(CHECKPOINT, plan, GRAPH)
    trained = sum(int(np.prod(tensor.shape)) for tensor in model_of(smaller).parameters() if tensor.trainable)
    assert (plan.after.params, plan.after.macs) == (trained, cost(spec_of_checkpoint(smaller)).macs)


@pytest.mark.parametrize("round_to", [8, 16])
def test_kept_channels_are_rounded_and_limits_hold(round_to: int) -> None:
    limits = Limits(round_to=round_to, protected=("stages.2.2.*",), scope="internal")
    plan = make_plan(CHECKPOINT, Target("macs", 0.8), uniformly(limits), graph=GRAPH)
    assert plan.groups
    for name, kept in plan.groups.items():
        assert len(kept.keep) % round_to == 0
        assert not kept.trunk
        assert not name.startswith("stages.2.2")


def test_units_of_grouped_convolutions_round_by_their_channels() -> None:
    graph = channel_graph(spec_of("cifar_resnext29_8x64d", input_size=8))
    group = graph.groups["stages.0.0.branch.0.conv"]
    assert (group.units, group.channels_per_unit) == (8, 64)
    assert Limits(round_to=32).rounded(group, 3.4) == 3
    assert Limits(round_to=128).rounded(group, 3.4) == 4


def test_an_unreachable_target_says_so() -> None:
    with pytest.raises(RequestError, match="cannot be met: with every group at its least"):
        make_plan(CHECKPOINT, Target("macs", 0.05), uniformly(Limits(scope="internal")), graph=GRAPH)
    with pytest.raises(RequestError, match=r"expected a share between 0 and 1, found 1\.5"):
        Target("macs", 1.5)


def test_sensitivity_takes_from_where_it_costs_least() -> None:
    curves = {group.name: [(0.25, 0.1), (0.5, 1.0), (0.75, 4.0)] for group in GRAPH}
    cheap, dear = "stages.1.0.branch.0.conv", "stages.1.1.branch.0.conv"
    curves[cheap], curves[dear] = [(0.75, 0.01)], [(0.25, 3.0), (0.75, 4.0)]

    def allocate(checkpoint: Checkpoint, graph: ChannelGraph) -> Allocation:
        return sensitive(graph, scores(graph, final_weights(checkpoint)), Limits(), curves)

    keep = make_plan(CHECKPOINT, Target("macs", 0.6), allocate, graph=GRAPH).keep
    assert len(keep[cheap]) == 8
    assert len(keep.get(dear, range(32))) > 24
    del curves[dear]
    with pytest.raises(RequestError, match=f"no sensitivity was measured for group '{dear}'"):
        make_plan(CHECKPOINT, Target("macs", 0.6), allocate, graph=GRAPH)


def test_several_steps_are_one_plan_for_the_first_weights(tmp_path: Path) -> None:
    plan = make_plan(CHECKPOINT, Target("macs", 0.5), globally, steps=3, graph=GRAPH)
    assert 0.45 < plan.after.macs / plan.before.macs <= 0.5
    plan.write(tmp_path / "plan.json")
    again = read_plan(tmp_path / "plan.json")
    assert again == plan
    smaller = cut(CHECKPOINT, again, GRAPH)
    assert cost(spec_of_checkpoint(smaller)).macs == plan.after.macs


def test_plans_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    plan = plan_of(CHECKPOINT, GRAPH, {"stem.conv": (0, 1)})
    other = random_checkpoint(SPEC, np.random.default_rng(1))
    with pytest.raises(RequestError, match="the plan was made from the weights"):
        cut(other, plan, GRAPH)
    for keep, reason in (
        ({"stem.cnov": (0,)}, "has no channel group 'stem.cnov'"),
        ({"head.fc": (0,)}, "cannot be cut: it is the output"),
        ({"stem.conv": (3, 2)}, "ascending; found"),
        ({"stem.conv": (16,)}, "has 16 units"),
    ):
        with pytest.raises(RequestError, match=reason):
            plan_of(CHECKPOINT, GRAPH, keep)
    with pytest.raises(RequestError, match="cannot be dropped"):
        cut(CHECKPOINT, plan.model_copy(update={"drop": ("stages.1.0",)}), GRAPH)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(RequestError, match=r"x\.json is no plan: weights: Field required"):
        read_plan(tmp_path / "x.json")


@pytest.mark.parametrize("family", RANDOM)
def test_no_tensor_is_left_over_and_everything_is_cut_alike(family: str) -> None:
    rng = np.random.default_rng([5, *family.encode()])
    spec = RANDOM[family](rng)
    checkpoint, graph = random_checkpoint(spec, rng), channel_graph(spec)
    # What the optimiser and the average keep of a weight must stay with it, so here it is made of the weight itself.
    state = {key: checkpoint.weights[key.rpartition("/")[0]] * 2 for key in checkpoint.optimizer}
    powers = {f"{key.rpartition('/')[0]}/beta1_pow_acc_0": np.array([0.5], np.float32) for key in checkpoint.optimizer}
    checkpoint = replace(checkpoint, optimizer=state | powers)
    keep = {group.name: tuple(range(0, group.units, 2)) for group in graph if group.units > 1}
    smaller = cut(checkpoint, plan_of(checkpoint, graph, keep), graph)
    shapes = {name: tensor.shape for name, tensor in model_of(smaller).state_dict().items()}
    assert {name: list(array.shape) for name, array in smaller.weights.items()} == shapes
    assert {name: list(array.shape) for name, array in smaller.ema.items()} == shapes
    for key, array in smaller.optimizer.items():
        expected = powers[key] if key in powers else smaller.weights[key.rpartition("/")[0]] * 2
        np.testing.assert_array_equal(array, expected)
    for name, array in smaller.ema.items():
        np.testing.assert_array_equal(array, smaller.weights[name] * np.float32(1.125))
    assert channel_graph(spec_of_checkpoint(smaller)).groups  # it can be pruned again
