"""Checkpoint to checkpoint: the same network without the channels and blocks that a plan leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from deploy.slim.families import family_of, narrowed, without
from deploy.slim.grouping import channel_graph
from deploy.slim.groups import ChannelGraph
from deploy.slim.kept import Kept, Positions
from deploy.slim.names import name_left
from deploy.slim.plan_file import Plan, expect_weights
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import model_of, spec_of_checkpoint
from ppresnet.errors import RequestError
from ppresnet.spec import ModelSpec

Tensors = dict[str, np.ndarray]
Changed = Mapping[str, Mapping[int, Positions]]


def cut(checkpoint: Checkpoint, plan: Plan, graph: ChannelGraph | None = None) -> Checkpoint:
    """Return the checkpoint that a plan leaves: narrower spec, sliced weights, averaged weights and optimiser state.

    What was measured before, such as the best accuracy, is not carried over.

    Args:
        checkpoint: the one that the plan was made from.
        plan: what stays.
        graph: of the checkpoint's spec, where it is known already.

    Raises:
        RequestError: the plan was made from other weights, or names what the network does not have.
        CheckpointError: the checkpoint's own weights do not fit its spec.
    """
    expect_weights(plan, checkpoint)
    spec = spec_of_checkpoint(checkpoint)
    graph = channel_graph(spec) if graph is None else graph
    smaller = cut_tensors(checkpoint, spec, Kept(graph, plan.keep), frozenset(plan.drop))
    model_of(smaller)  # every tensor has the shape that the spec gives it, and none is left over
    return smaller


def cut_tensors(checkpoint: Checkpoint, spec: ModelSpec, kept: Kept, drop: frozenset[str]) -> Checkpoint:
    """Return a checkpoint of the units that are kept, without the dropped blocks.

    Raises:
        RequestError: a block cannot be dropped.
    """
    family = family_of(spec)
    if unknown := sorted(drop - set(family.blocks(spec))):
        raise RequestError(
            f"block '{unknown[0]}' cannot be dropped; expected some of {', '.join(family.blocks(spec)) or 'none'}"
        )
    changed = kept.changed()
    smaller = without(narrowed(spec, kept), drop)
    return replace(
        checkpoint,
        spec=smaller.model_dump(mode="json"),
        weights=_renamed(_sliced(checkpoint.weights, changed), drop),
        ema=_renamed(_sliced(checkpoint.ema, changed), drop),
        optimizer=_renamed(_sliced_state(checkpoint, changed), drop),
        progress={**checkpoint.progress, **({"best": None} if "best" in checkpoint.progress else {})},
    )


def _sliced(tensors: Mapping[str, np.ndarray], changed: Changed) -> Tensors:
    return {name: _slice(array, changed.get(name, {})) for name, array in tensors.items()}


def _sliced_state(checkpoint: Checkpoint, changed: Changed) -> Tensors:
    """Slice what has the shape of its parameter, such as a velocity; powers of beta and the like are left alone."""
    sliced = {}
    for key, array in checkpoint.optimizer.items():
        owner = key.rpartition("/")[0]
        alike = owner in checkpoint.weights and checkpoint.weights[owner].shape == array.shape
        sliced[key] = _slice(array, changed.get(owner, {})) if alike else array
    return sliced


def _slice(array: np.ndarray, axes: Mapping[int, Positions]) -> np.ndarray:
    for axis, stays in axes.items():
        array = np.compress(stays, array, axis)
    return array


def _renamed(tensors: Mapping[str, np.ndarray], drop: frozenset[str]) -> Tensors:
    left = {name: name_left(name, drop) for name in tensors}
    return {new: tensors[name] for name, new in left.items() if new is not None}
