"""Importance from kernels as training left them: how much goes into a channel times how much comes out of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from deploy.slim.groups import Group
from deploy.slim.importance import Scores, by_unit, deviations, l2, relative

SILENT = 0.1  # of the mean deviation of a group's units; below it a unit counts for less


def path_scores(group: Group, weights: Mapping[str, np.ndarray]) -> Scores:
    """Return the norm of the paths through each unit (Neyshabur et al. 2015, arXiv:1506.02617); the lowest go first.

    It is the norm of the kernels that give the unit, times that of what takes it, each tensor relative to its mean.
    No output depends on the size of a kernel before a BatchNorm, so these scores say little about what is lost at
    once. But such a kernel grows with every gradient that it gets, so its size tells how much was learned through it,
    and that says best what is left after fine-tuning. It is lost where kernels were scaled since their training. A
    unit that hardly varies behind its normalisation counts for less, one that does not vary for nothing.

    Args:
        group: of a graph.
        weights: of the network, by structured name.
    """
    sides = [
        np.mean(found, axis=0)
        for role in ("rows", "columns")
        if (found := [relative(l2(by_unit(each, weights[each.tensor]))) for each in group.members if each.role == role])
    ]
    varies = relative(deviations(group, weights, l2))
    return np.asarray(np.prod([*sides, np.minimum(varies / SILENT, 1.0)], axis=0))
