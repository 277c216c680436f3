"""How much each unit of a group matters, from the weights alone: numpy in, numpy out."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from deploy.slim.deviation import rectified_deviation
from deploy.slim.groups import ChannelGraph, Group, Member
from ppresnet.errors import RequestError

Scores = NDArray[np.float64]
Weights = Mapping[str, np.ndarray]
Method = Literal["l1", "l2", "fpgm", "bn_scale", "random"]
Aggregate = Literal["flow", "mean", "max", "first"]
EPSILON = 1e-5  # of BatchNorm


def l1(units_UF: NDArray[np.float64]) -> Scores:
    """Return the sum of magnitudes of each unit's weights (Li et al. 2016, arXiv:1608.08710)."""
    return np.abs(units_UF).sum(axis=1)  # type: ignore[no-any-return]


def l2(units_UF: NDArray[np.float64]) -> Scores:
    """Return the Euclidean norm of each unit's weights."""
    return np.sqrt((units_UF**2).sum(axis=1))  # type: ignore[no-any-return]


def fpgm(units_UF: NDArray[np.float64]) -> Scores:
    """Return the sum of distances to all other units, small near the geometric median (He et al. 2018, 1811.00250)."""
    squares = (units_UF**2).sum(axis=1)
    apart = squares[:, None] + squares[None, :] - 2 * units_UF @ units_UF.T
    return np.sqrt(np.maximum(apart, 0.0)).sum(axis=1)  # type: ignore[no-any-return]


NORMS: Mapping[str, Callable[[NDArray[np.float64]], Scores]] = {"l1": l1, "l2": l2, "fpgm": fpgm}


def scores(
    graph: ChannelGraph, weights: Weights, method: Method = "l1", aggregate: Aggregate = "flow", seed: int = 0
) -> dict[str, Scores]:
    """Return a score for each unit of each group that can be cut; the lowest go first.

    `mean` and `max` take each member's scores relative to their mean. `first` takes the first member alone, as
    PaddleSlim does. `flow` multiplies how much a channel varies with what takes it, so a channel that nothing gives or
    nothing takes scores zero whatever else it has. All but `first` see kernels as they act behind their BatchNorm.

    Args:
        graph: the groups.
        weights: of the network, by structured name.
        method: of each member.
        aggregate: over the members of a group.
        seed: of `random`.

    Raises:
        RequestError: there is no such method or aggregate, or a group has nothing that the method looks at.
    """
    if method not in (*NORMS, "bn_scale", "random") or aggregate not in get_args(Aggregate):
        raise RequestError(
            f"no importance '{method}' by '{aggregate}' from weights; expected one of {', '.join(NORMS)}, bn_scale, "
            f"random by one of {', '.join(get_args(Aggregate))}; path, taylor and obs are found elsewhere"
        )
    if method == "random":
        return {group.name: _drawn(group, seed) for group in graph}
    seen = weights if aggregate == "first" else effective(graph, weights)
    return {group.name: _group_scores(group, weights, seen, method, aggregate) for group in graph}


def effective(graph: ChannelGraph, weights: Weights) -> dict[str, np.ndarray]:
    """Return the weights with every kernel as it acts behind its BatchNorm: multiplied by gamma over the deviation."""
    result = dict(weights)
    for group in (*graph.groups.values(), *graph.frozen.values()):
        for member in group.members:
            gamma = weights.get(f"{member.norm}.weight")
            if member.role != "rows" or gamma is None or result[member.tensor] is not weights[member.tensor]:
                continue
            variance = weights.get(f"{member.norm}._variance", np.ones_like(gamma))
            factor = gamma / np.sqrt(variance + EPSILON)
            shape = [-1 if axis == member.axis else 1 for axis in range(weights[member.tensor].ndim)]
            result[member.tensor] = weights[member.tensor] * factor.reshape(shape)
    return result


def by_unit(member: Member, array: np.ndarray) -> NDArray[np.float64]:
    """Return the elements of each unit, float64 [units, elements]."""
    mine = np.flatnonzero(member.units >= 0)
    order = mine[np.argsort(member.units[mine], kind="stable")]
    units = int(member.units.max()) + 1
    elements: NDArray[np.float64] = np.moveaxis(array, member.axis, 0)[order].reshape(units, -1).astype(np.float64)
    return elements


def relative(values: Scores) -> Scores:
    """Return scores over their mean, so that members and groups can be compared; zeros stay zeros."""
    mean = values.mean()
    return values / mean if mean > 0 else values


def _drawn(group: Group, seed: int) -> Scores:
    return np.random.default_rng([seed, zlib.crc32(group.name.encode())]).random(group.units)


def _group_scores(group: Group, weights: Weights, seen: Weights, method: str, aggregate: str) -> Scores:
    if method == "bn_scale":
        found = [l1(by_unit(member, weights[member.tensor])) for member in group.members if member.role == "scale"]
        if not found:  # no normalisation of its own: the kernels are what scales
            found = _norms(group, seen, l1, ("rows",))
        return _aggregated(found, "mean" if aggregate == "flow" else aggregate)
    norm = NORMS[method]
    if aggregate == "flow":
        taken = [_norms(group, seen, norm, roles) for roles in (("columns",), ("scale",))]
        sides = [deviations(group, weights, norm), *(_aggregated(side, "mean") for side in taken if side)]
        return np.prod(sides, axis=0)  # type: ignore[no-any-return]
    return _aggregated(_norms(group, seen, norm, ("rows", "scale", "columns")), aggregate)


def deviations(group: Group, weights: Weights, norm: Callable[[NDArray[np.float64]], Scores]) -> Scores:
    """Return how much the units vary from image to image, all that give them taken together.

    Behind a normalisation the deviation of a channel is gamma, whatever the kernel; and behind the ReLU that follows
    inside a branch, that of max(0, z) for z normal with mean beta and deviation gamma.
    """
    found = []
    for member in group.members:
        if member.role == "rows" and f"{member.norm}.weight" in weights:
            gamma, beta = (weights[f"{member.norm}.{part}"].astype(np.float64) for part in ("weight", "bias"))
            each = np.abs(gamma) if group.trunk else rectified_deviation(np.abs(gamma), beta)
            found.append(l2(by_unit(member, each)))
        elif member.role in ("rows", "shift") and member.norm is None and not _within(group, member):
            found.append(relative(norm(by_unit(member, weights[member.tensor]))))
    return np.asarray(np.sqrt(np.sum(np.square(found), axis=0)))


def _within(group: Group, member: Member) -> bool:
    return member.tensor.rpartition(".")[0] in {other.norm for other in group.members}


def _norms(
    group: Group, seen: Weights, norm: Callable[[NDArray[np.float64]], Scores], roles: Sequence[str]
) -> list[Scores]:
    """Return the scores of each member of these roles; a normalisation that is in a kernel does not count twice."""
    return [
        norm(by_unit(member, seen[member.tensor]))
        for member in group.members
        if member.role in roles and (member.role == "rows" or not _within(group, member))
    ]


def _aggregated(found: Sequence[Scores], aggregate: str) -> Scores:
    if aggregate == "first":
        return found[0]
    table = np.stack([relative(each) for each in found])
    return table.max(axis=0) if aggregate == "max" else table.mean(axis=0)  # type: ignore[no-any-return]
