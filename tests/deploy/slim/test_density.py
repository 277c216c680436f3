"""Shares by density: against counts by hand, and the promise that more parameters are left at the same cost."""

import numpy as np
import pytest
from random_specs import random_checkpoint

from deploy.slim.allocation import Allocation, Limits, uniform
from deploy.slim.density import POWER, dense_first, densities
from deploy.slim.grouping import channel_graph
from deploy.slim.groups import ChannelGraph
from deploy.slim.planner import make_plan
from deploy.slim.target import Target
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import spec_of_checkpoint
from ppresnet.spec import spec_of

SPEC = spec_of("cifar_resnet20")
GRAPH = channel_graph(SPEC)
CHECKPOINT = random_checkpoint(SPEC, np.random.default_rng(0))
INSIDE = Limits(scope="internal")


def by_density(kind: str, limits: Limits):  # type: ignore[no-untyped-def]
    def allocator(checkpoint: Checkpoint, graph: ChannelGraph) -> Allocation:
        found = densities(spec_of_checkpoint(checkpoint), graph, limits, kind)
        return dense_first(graph, drawn(graph), limits, found)

    return allocator


def drawn(graph: ChannelGraph) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    return {group.name: random.random(group.units) for group in graph}


def test_a_channel_within_a_branch_costs_its_pixels_for_each_of_its_weights() -> None:
    found = densities(SPEC, GRAPH, INSIDE, "macs")
    channels, pixels = {0: 16, 1: 32, 2: 64}, {0: 32 * 32, 1: 16 * 16, 2: 8 * 8}
    assert len(found) == 9
    for name, density in found.items():
        stage, block = (int(part) for part in name.split(".")[1:3])
        given = channels[stage - 1] if stage and not block else channels[stage]
        weights = 9 * (given + channels[stage])  # of the kernel that gives it, and of those that take it
        assert density == pytest.approx(weights * pixels[stage] / (weights + 2))  # a scale and a shift
    inverse = densities(SPEC, GRAPH, INSIDE, "params")
    assert {name: pytest.approx(1 / density) for name, density in found.items()} == inverse


def test_the_share_that_is_kept_falls_with_the_density() -> None:
    found = densities(SPEC, GRAPH, INSIDE, "macs")
    counts = dense_first(GRAPH, drawn(GRAPH), INSIDE, found).counts(0.75)
    densest = max(found.values())
    for name, kept in counts.items():
        units = GRAPH.groups[name].units
        assert kept == int(units * 0.25 ** ((found[name] / densest) ** POWER) + 0.5)
    assert sorted(set(counts.values())) == [4, 16, 45]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("scope", ["internal", "all"])
def test_more_parameters_are_left_at_the_same_cost(share: float, scope: str) -> None:
    limits = Limits(scope=scope)  # type: ignore[arg-type]
    dense = make_plan(CHECKPOINT, Target("macs", share), by_density("macs", limits), graph=GRAPH)
    same = make_plan(CHECKPOINT, Target("macs", share), lambda _, here: uniform(here, drawn(here), limits), graph=GRAPH)
    assert share - 0.03 < dense.after.macs / dense.before.macs <= share
    assert dense.after.params > 1.1 * same.after.params


def test_for_a_target_of_parameters_more_operations_are_left() -> None:
    dense = make_plan(CHECKPOINT, Target("params", 0.5), by_density("params", INSIDE), graph=GRAPH)
    same = make_plan(CHECKPOINT, Target("params", 0.5), lambda _, here: uniform(here, drawn(here), INSIDE), graph=GRAPH)
    assert 0.47 < dense.after.params / dense.before.params <= 0.5
    assert dense.after.macs > 1.1 * same.after.macs


def test_trunk_groups_lose_less_where_asked() -> None:
    found = densities(SPEC, GRAPH, Limits(), "macs")
    trunk = [group.name for group in GRAPH if group.trunk]
    usual, spared = (
        dense_first(GRAPH, drawn(GRAPH), limits, found).counts(0.5) for limits in (Limits(), Limits(trunk_share=0.25))
    )
    assert all(spared.get(name, GRAPH.groups[name].units) > usual[name] for name in trunk)
    assert all(spared[name] == usual[name] for name in usual if name not in trunk)
