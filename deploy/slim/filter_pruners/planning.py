"""Plans whose channels PaddleSlim chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import paddle

from deploy.slim.allocation import Allocation, Limits, uniform
from deploy.slim.cutting import cut_tensors
from deploy.slim.filter_pruners.matching import OWN, Keep, expect_grouped, kept_units, kernels
from deploy.slim.filter_pruners.naming import by_group
from deploy.slim.filter_pruners.process import ask
from deploy.slim.groups import ChannelGraph
from deploy.slim.importance import Scores
from deploy.slim.kept import Kept
from deploy.slim.plan_file import Plan
from deploy.slim.planner import make_plan
from deploy.slim.target import Target
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import final_weights, model_of, spec_of_checkpoint
from ppresnet.errors import CheckFailedError, RequestError
from ppresnet.export.parity import TOLERANCE, relative_difference

Rule = Literal["l1", "l2", "fpgm"]
RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True)
class FilterPruning(Allocation):
    """An allocation that has PaddleSlim choose which units stay; how many is ours, so that engines can be compared.

    Attributes:
        checkpoint: whose weights are scored.
        rule: PaddleSlim's.
    """

    checkpoint: Checkpoint
    rule: Rule

    def keep(self, counts: Mapping[str, int]) -> Keep:
        """Return the units that PaddleSlim keeps, by group."""
        return paddleslim_keep(self.checkpoint, self.graph, counts, self.rule)


def paddleslim_plan(
    checkpoint: Checkpoint,
    rule: Rule,
    target: Target,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    steps: int = 1,
    graph: ChannelGraph | None = None,
    options: dict[str, Any] | None = None,
    allocate: Callable[[Checkpoint, ChannelGraph, Mapping[str, Scores]], Allocation] | None = None,
) -> Plan:
    """Return the plan of PaddleSlim's choice that meets a target with the least strength.

    Args:
        checkpoint: what is to be cut.
        rule: `l1`, `l2` or `fpgm`: its L1Norm, L2Norm or FPGM FilterPruner.
        target: what the network is to cost.
        limits: what is respected.
        steps: cuts on the way; each has a pruner of its own, since one scores the weights it was made with for ever.
        graph: of the checkpoint's spec, where it is known already.
        options: are kept with the plan.
        allocate: how many units each group keeps, of which PaddleSlim is told; None: the same share of each.

    Raises:
        RequestError: PaddleSlim is not there, has no such rule, or cannot group what is to be cut; or the target cannot
            be met.
        CheckFailedError: it cut something else than asked, or its own network answers otherwise than our cut.
    """
    _expect_rule(rule)

    def allocator(current: Checkpoint, here: ChannelGraph) -> Allocation:
        shared = uniform(here, {}, limits) if allocate is None else allocate(current, here, {})
        return FilterPruning(here, {}, limits, shared.wanted, current, rule)

    return make_plan(checkpoint, target, allocator, steps, graph, options)


def paddleslim_keep(checkpoint: Checkpoint, graph: ChannelGraph, counts: Mapping[str, int], rule: Rule) -> Keep:
    """Return the units that PaddleSlim keeps of each group, after every check that it cut what it should.

    Args:
        checkpoint: whose weights are scored.
        graph: of the checkpoint's spec.
        counts: units to keep, by the name of a group or of any tensor that gives or normalises its channels.
        rule: PaddleSlim's.

    Raises:
        RequestError: PaddleSlim is not there, has no such rule, or cannot group what is to be cut.
        CheckFailedError: it cut something else than asked, or its own network answers otherwise than our cut.
    """
    _expect_rule(rule)
    wanted = [(graph.groups[name], count) for name, count in by_group(graph, counts).items()]
    if not wanted:
        return {}
    spec = spec_of_checkpoint(checkpoint)
    shape = (3, spec.in_channels, spec.input_size, spec.input_size)
    images_NCHW = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    request = {
        "spec": checkpoint.spec,
        "rule": rule,
        "groups": {
            group.name: {"kernels": kernels(group), "share": 1 - count / group.units} for group, count in wanted
        },
    }
    answer = ask(request, final_weights(checkpoint), images_NCHW)
    expect_grouped([group for group, _ in wanted], answer)
    keep = {group.name: kept_units(group, answer, count) for group, count in wanted}
    smaller = model_of(cut_tensors(checkpoint, spec, Kept(graph, keep), frozenset()))
    with paddle.no_grad():
        difference = relative_difference(smaller(paddle.to_tensor(images_NCHW)).numpy(), answer.logits)
    if not difference <= TOLERANCE:  # NaN is none
        raise CheckFailedError(
            "our cut and the network that PaddleSlim pruned answer differently: expected logits apart by at most "
            f"{TOLERANCE:g}, relatively, found {difference:.3g}; {OWN}"
        )
    return keep


def _expect_rule(rule: str) -> None:
    if rule not in RULES:
        raise RequestError(
            f"PaddleSlim's rule '{rule}' is not offered; expected one of {', '.join(RULES)}. Its unstructured, GMP and "
            "RepVGG pruners are broken in 2.6.0, and scores such as taylor are those of our own engine"
        )
