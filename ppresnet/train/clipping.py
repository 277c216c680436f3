"""Clipping of gradients by the norm of all of them together."""

from __future__ import annotations

from paddle import nn


def clip_gradients(model: nn.Layer, norm: float | None) -> None:
    """Scale all gradients of a network so that their norm together is at most `norm` (None: leave them).

    Paddle's optimisers clip each group of parameters by its own norm, and so let the direction of the whole turn.

    Args:
        model: its gradients stand, unscaled.
        norm: the largest Euclidean norm of all gradients as one vector (Pascanu et al. 2012, arXiv:1211.5063).
    """
    if norm is None:
        return
    found = [(p, p.grad) for p in model.parameters() if p.trainable and p.grad is not None]
    for parameter, gradient in nn.ClipGradByGlobalNorm(norm)(found) if found else ():
        parameter.grad = gradient
