"""Importance from gradients: how the loss would change if the channels of a unit were scaled down together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import paddle
import paddle.nn.functional as F

from deploy.slim.groups import ChannelGraph, Group, Member
from deploy.slim.importance import Aggregate, Scores, Weights, by_unit
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import final_weights, model_of

Batch = tuple[np.ndarray, np.ndarray]


def slopes(graph: ChannelGraph, weights: Weights, gradients: Weights) -> dict[str, np.ndarray]:
    """Return the derivative of the loss by a common factor of each unit, float64 [members, units], by group.

    The factor stands where masking does: behind a normalisation, or behind a layer that has none. So it multiplies
    gamma and beta, or kernel and bias, and the derivative is the sum of weight times gradient over them.
    """
    return {group.name: np.stack([_slope(member, weights, gradients) for member in _gates(group)]) for group in graph}


def taylor_scores(batches: Sequence[Mapping[str, np.ndarray]], aggregate: Aggregate = "flow") -> dict[str, Scores]:
    """Return the root mean square over batches of the first-order change (Molchanov et al. 2019, arXiv:1906.10771).

    Args:
        batches: what `slopes` gave for each.
        aggregate: `flow` and `mean` add the members' slopes, as removing a unit removes all of them at once; `max` and
            `first` take the largest or the first member alone.
    """
    found = {}
    for name in batches[0]:
        slope_BMU = np.stack([batch[name] for batch in batches])
        joint = slope_BMU.sum(axis=1, keepdims=True) if aggregate in ("flow", "mean") else slope_BMU
        change_MU = np.sqrt((joint**2).mean(axis=0))
        found[name] = change_MU[0] if aggregate == "first" else change_MU.max(axis=0)
    return found


def measured_slopes(
    checkpoint: Checkpoint, graph: ChannelGraph, batches: Iterable[Batch]
) -> list[dict[str, np.ndarray]]:
    """Return the slopes of each batch of images (float32 [batch, channels, size, size]) and labels (int64 [batch])."""
    model = model_of(checkpoint)
    parameters = dict(model.named_parameters())
    found = []
    for images, labels in batches:
        model.clear_gradients()
        F.cross_entropy(model(paddle.to_tensor(images)), paddle.to_tensor(labels)).backward()
        gradients = {name: tensor.grad.numpy() for name, tensor in parameters.items() if tensor.grad is not None}
        found.append(slopes(graph, final_weights(checkpoint), gradients))
    return found


def _gates(group: Group) -> list[Member]:
    return [
        member
        for member in group.members
        if member.role in ("scale", "shift") or (member.role in ("rows", "bias") and member.norm is None)
    ]


def _slope(member: Member, weights: Weights, gradients: Weights) -> Scores:
    if member.tensor not in gradients:
        return np.zeros(int(member.units.max()) + 1)
    product = weights[member.tensor].astype(np.float64) * gradients[member.tensor]
    return by_unit(member, product).sum(axis=1)  # type: ignore[no-any-return]
