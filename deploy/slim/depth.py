"""Whole residual blocks: what each contributes, and plans that leave some out."""

from __future__ import annotations

from collections.abc import Mapping

from deploy.slim.cutting import cut_tensors
from deploy.slim.families import family_of, without
from deploy.slim.groups import ChannelGraph
from deploy.slim.kept import Kept
from deploy.slim.plan_file import Plan
from deploy.slim.planner import plan_of
from deploy.slim.subset import Quality, Subset, quality
from deploy.slim.target import Target
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import model_of, spec_of_checkpoint
from ppresnet.errors import RequestError
from ppresnet.spec import ModelSpec


def expect_blocks(spec: ModelSpec) -> None:
    """Check that there is a block to drop.

    Raises:
        RequestError: no block of the network has an identity for its skip.
    """
    if not family_of(spec).blocks(spec):
        raise RequestError(
            f"expected a network with blocks whose skip is an identity, found none in {spec.name}; cut its channels"
        )


def contributions(checkpoint: Checkpoint, graph: ChannelGraph, subset: Subset) -> dict[str, Quality]:
    """Return the quality of the network without each block whose skip is an identity, one at a time.

    The block is really taken out: where the activation behind the sum is no identity for what comes in, that is another
    network than one whose branch is masked.

    Args:
        checkpoint: of the network.
        graph: its groups.
        subset: images to measure on.
    """
    spec = spec_of_checkpoint(checkpoint)
    whole = Kept(graph, {})
    return {
        name: quality(model_of(cut_tensors(checkpoint, spec, whole, frozenset([name]))), subset)
        for name in family_of(spec).blocks(spec)
    }


def depth_plan(checkpoint: Checkpoint, graph: ChannelGraph, measured: Mapping[str, Quality], target: Target) -> Plan:
    """Return the plan that drops blocks, those first whose absence costs the least, until a target is met.

    Args:
        checkpoint: of the network.
        graph: its groups.
        measured: quality without each block.
        target: what the network is to cost.

    Raises:
        RequestError: the target cannot be met with a block left in every stage.
        CheckFailedError: a latency that was met in the search is missed when it is measured anew.
    """
    spec = spec_of_checkpoint(checkpoint)
    family, found = family_of(spec), target.of(spec)
    limit, left, drop = target.share * found, family.depths(spec), list[str]()
    for name in sorted(measured, key=lambda name: measured[name].loss):
        if found <= limit:
            break
        stage = name.rpartition(".")[0]
        if left[stage] > 1:
            left[stage] -= 1
            drop.append(name)
            found = target.of(without(spec, drop))
    if found > limit:
        raise RequestError(
            f"without {len(drop)} blocks, the most that leave one in every stage, the network still costs more than "
            f"{target.share:.1%} of its {target.kind}; set a larger target, or plan channels and not blocks"
        )
    plan = plan_of(checkpoint, graph, {}, tuple(drop))
    return target.confirmed(plan, spec, without(spec, drop), coarse=True)
