"""From scores and a target to a plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deploy.slim.allocation import Allocation, Counts
from deploy.slim.cutting import cut
from deploy.slim.families import family_of, narrowed
from deploy.slim.grouping import channel_graph
from deploy.slim.groups import ChannelGraph
from deploy.slim.kept import Kept
from deploy.slim.plan_file import KeptUnits, Plan, Size
from deploy.slim.target import Target
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import final_weights, spec_of_checkpoint, weights_sha
from ppresnet.errors import RequestError
from ppresnet.models import cost
from ppresnet.spec import ModelSpec

Allocator = Callable[[Checkpoint, ChannelGraph], Allocation]
NEAR = 0.97  # of a latency: further measurements would follow the noise


def make_plan(
    checkpoint: Checkpoint,
    target: Target,
    allocator: Allocator,
    steps: int = 1,
    graph: ChannelGraph | None = None,
    options: dict[str, Any] | None = None,
) -> Plan:
    """Return the plan that meets a target with the least strength.

    With several steps the cost falls by the same factor in each, and units are scored anew on what is left.

    Args:
        checkpoint: what is to be cut.
        target: what it is to cost.
        allocator: scores a checkpoint and says how its groups share the loss.
        steps: cuts on the way; the plan is one all the same.
        graph: of the checkpoint's spec, where it is known already.
        options: are kept with the plan.

    Raises:
        RequestError: the target cannot be met within the limits, or the network not be cut.
        CheckFailedError: a latency that was met in the search is missed when it is measured anew.
    """
    spec = spec_of_checkpoint(checkpoint)
    graph = channel_graph(spec) if graph is None else graph
    whole, current, plans = target.of(spec), checkpoint, []
    for step in range(1, steps + 1):
        limit = whole * target.share ** (step / steps)
        here = graph if step == 1 else channel_graph(spec_of_checkpoint(current))
        allocation = allocator(current, here)
        counts = _search(allocation, spec_of_checkpoint(current), target, limit)
        plans.append(plan_of(current, here, allocation.keep(counts)))
        current = cut(current, plans[-1], here) if step < steps else current
    plan = plans[0]
    for later in plans[1:]:
        plan = composed(plan, later, graph)
    plan = plan.model_copy(update={"options": options or {}})
    return target.confirmed(plan, spec, narrowed(spec, Kept(graph, plan.keep)))


def plan_of(
    checkpoint: Checkpoint, graph: ChannelGraph, keep: dict[str, tuple[int, ...]], drop: tuple[str, ...] = ()
) -> Plan:
    """Return the plan that keeps these units."""
    spec = spec_of_checkpoint(checkpoint)
    after = family_of(spec).without(narrowed(spec, Kept(graph, keep)), frozenset(drop))
    return Plan(
        weights=weights_sha(final_weights(checkpoint)),
        groups={
            name: KeptUnits(units=graph.groups[name].units, keep=units, trunk=graph.groups[name].trunk)
            for name, units in keep.items()
        },
        drop=drop,
        before=size_of(spec),
        after=size_of(after),
        frozen={group.name: group.frozen for group in graph.frozen.values()},
    )


def size_of(spec: ModelSpec) -> Size:
    """Return the cost of a network as a plan keeps it."""
    found = cost(spec)
    return Size(params=found.params, macs=found.macs)


def composed(first: Plan, second: Plan, graph: ChannelGraph) -> Plan:
    """Return the one plan of channels that does what two do one after the other."""
    groups = dict(first.groups)
    for name, later in second.groups.items():
        earlier = first.groups[name].keep if name in first.groups else range(graph.groups[name].units)
        keep = tuple(earlier[unit] for unit in later.keep)
        groups[name] = KeptUnits(units=graph.groups[name].units, keep=keep, trunk=later.trunk)
    return first.model_copy(update={"groups": groups, "after": second.after})


def _search(allocation: Allocation, spec: ModelSpec, target: Target, limit: float) -> Counts:
    """Return the counts of the least strength that meets the limit."""

    def price(counts: Counts) -> float:
        return target.of(narrowed(spec, Kept(allocation.graph, {name: range(kept) for name, kept in counts.items()})))

    strongest = allocation.counts(1.0)
    if (least := price(strongest)) > limit:
        raise RequestError(
            f"the target {target.kind} of {limit:.4g} cannot be met: with every group at its least it is {least:.4g}; "
            f"a group keeps {1 - allocation.limits.most:.0%} of its units, and what the largest measured share leaves; "
            "lower the minimum or round_to, widen the scope, protect less, or set a larger target"
        )
    low, high, weaker, stronger = 0.0, 1.0, allocation.counts(0.0), strongest
    for _ in range(24):
        middle = (low + high) / 2
        counts = allocation.counts(middle)
        if counts in (weaker, stronger):
            low, high = (middle, high) if counts == weaker else (low, middle)
        elif (found := price(counts)) <= limit:
            high, stronger = middle, counts
            if target.kind == "latency" and found >= NEAR * limit:
                break
        else:
            low, weaker = middle, counts
    return stronger if target.kind == "latency" else _filled(stronger, weaker, allocation, price, limit)


def _filled(
    stronger: Counts, weaker: Counts, allocation: Allocation, price: Callable[[Counts], float], limit: float
) -> Counts:
    """Give groups back what the last step of strength took, one by one, as far as the limit allows."""
    filled = dict(stronger)
    for name in sorted(stronger, key=lambda name: allocation.graph.groups[name].units):
        units = allocation.graph.groups[name].units
        trial = {**filled, name: weaker.get(name, units)}
        trial = {each: kept for each, kept in trial.items() if kept < allocation.graph.groups[each].units}
        if trial != filled and price(trial) <= limit:
            filled = trial
    return filled
