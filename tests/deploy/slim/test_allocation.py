"""How groups share a loss, and every limit on it."""

import numpy as np
import pytest
from random_specs import random_checkpoint

from deploy.slim.allocation import Allocation, Limits, ranked, uniform
from deploy.slim.cutting import cut
from deploy.slim.grouping import channel_graph
from deploy.slim.groups import ChannelGraph
from deploy.slim.planner import make_plan
from deploy.slim.target import Target
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import spec_of_checkpoint
from ppresnet.models import cost
from ppresnet.spec import spec_of

SPEC = spec_of("cifar_resnet20", input_size=8)
GRAPH = channel_graph(SPEC)
EVEN = {group.name: np.arange(1.0, group.units + 1) for group in GRAPH}
INNER, TRUNK = "stages.1.0.branch.0.conv", "stem.conv"


def test_groups_keep_a_minimum_and_no_more_than_a_share_goes() -> None:
    assert uniform(GRAPH, EVEN, Limits(most=1.0)).counts(1.0)[INNER] == 1
    assert uniform(GRAPH, EVEN, Limits(minimum=5)).counts(1.0)[INNER] == 5
    assert uniform(GRAPH, EVEN, Limits(minimum=5, round_to=4)).counts(1.0)[INNER] == 8
    assert uniform(GRAPH, EVEN, Limits(most=0.75)).counts(1.0)[INNER] == 8
    assert INNER not in uniform(GRAPH, EVEN, Limits(minimum=40)).counts(1.0)


def test_trunk_and_branches_go_apart() -> None:
    trunk = {group.name for group in GRAPH if group.trunk}
    everything = uniform(GRAPH, EVEN, Limits()).counts(0.5).keys()
    assert uniform(GRAPH, EVEN, Limits(scope="trunk")).counts(0.5).keys() == trunk
    assert uniform(GRAPH, EVEN, Limits(scope="internal")).counts(0.5).keys() == everything - trunk
    less = uniform(GRAPH, EVEN, Limits(trunk_share=0.5)).counts(0.5)
    assert (less[INNER], less[TRUNK]) == (16, 12)


def test_the_lowest_scores_go_and_of_equals_the_last() -> None:
    made = uniform(GRAPH, {**EVEN, INNER: np.array([2.0, 1.0] * 16)}, Limits())
    assert made.keep({INNER: 20})[INNER] == tuple(sorted([*range(0, 32, 2), 1, 3, 5, 7]))


def test_groups_are_compared_relative_to_their_mean() -> None:
    loud = {**EVEN, INNER: EVEN[INNER] * 1000}
    assert ranked(GRAPH, loud, Limits()).counts(0.4) == ranked(GRAPH, EVEN, Limits()).counts(0.4)
    assert INNER not in ranked(GRAPH, loud, Limits(), "none").counts(0.4)
    assert INNER in ranked(GRAPH, EVEN, Limits(), "none").counts(0.4)


@pytest.mark.parametrize("steps", [1, 3])
def test_every_step_scores_what_the_one_before_has_left(steps: int) -> None:
    checkpoint = random_checkpoint(SPEC, np.random.default_rng(0))
    scored: list[Checkpoint] = []

    def allocate(current: Checkpoint, graph: ChannelGraph) -> Allocation:
        scored.append(current)
        drawn = np.random.default_rng(len(scored))
        return uniform(graph, {group.name: drawn.random(group.units) for group in graph}, Limits())

    plan = make_plan(checkpoint, Target("macs", 0.3), allocate, steps, GRAPH)
    whole = cost(SPEC).macs
    left = [cost(spec_of_checkpoint(one)).macs / whole for one in [*scored, cut(checkpoint, plan, GRAPH)]]
    assert left == pytest.approx([0.3 ** (step / steps) for step in range(steps + 1)], rel=0.1)
    # The second step sees slices of what the first one saw, and the plan names the units of the network as it was.
    for one in scored:
        assert np.isin(one.weights["stem.conv.weight"], checkpoint.weights["stem.conv.weight"]).all()
