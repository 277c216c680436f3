"""Sparse training: penalties that pull whole channels towards zero, so that pruning finds what does not matter."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from ppresnet.config import SparsityConfig
from ppresnet.errors import ConfigError

NORMS = (nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D)
CONVS = (nn.Conv1D, nn.Conv2D, nn.Conv3D)
TINY = 1e-12  # below this norm a channel counts as gone, and the pull fades with it


class Sparsity:
    """Adds the subgradients of two penalties to the gradients of a network, once for each optimiser step.

        bn * sum |gamma|  over the scales of all BatchNorms (Liu et al. 2017, arXiv:1708.06519, eq. 1)
        group_lasso * sum ||W_o||_2  over the output channels o of all convolutions (Wen et al. 2016, arXiv:1608.03665)

    At zero the subgradient is zero, so that what is gone stays gone unless the loss wants it back. The penalties do not
    depend on images: the reported loss is without them, each process adds the same, and neither accumulation nor the
    scale of the loss changes them. They are part of the gradient that is clipped and, with sgd, gathers momentum.

    Args:
        config: the strengths.
        model: what is frozen in it is left alone.

    Raises:
        ConfigError: a strength is set and the network has nothing that it could act on.
    """

    def __init__(self, config: SparsityConfig, model: nn.Layer) -> None:
        self._config = config
        layers = model.sublayers(include_self=True)
        self._scales = _trained([layer.weight for layer in layers if isinstance(layer, NORMS)], config.bn, "bn")
        kernels = [layer.weight for layer in layers if isinstance(layer, CONVS)]
        self._kernels = _trained(kernels, config.group_lasso, "group_lasso")

    @paddle.no_grad()  # type: ignore[untyped-decorator]
    def add(self) -> None:
        """Add the subgradients; call it when the gradients are whole and unscaled, before they are clipped."""
        for scale_C in self._scales:
            _add(scale_C, self._config.bn * paddle.sign(scale_C.astype("float32")))
        for kernel in self._kernels:
            full = kernel.astype("float32")
            norms = (full * full).sum(axis=list(range(1, full.ndim)), keepdim=True).sqrt()
            _add(kernel, self._config.group_lasso * full / norms.clip(min=TINY))


def sparsity_of(config: SparsityConfig, model: nn.Layer) -> Sparsity | None:
    """Return what a recipe asks for, None where all strengths are zero; raises as `Sparsity` does."""
    return Sparsity(config, model) if config.bn or config.group_lasso else None


def _trained(tensors: list[Tensor | None], strength: float, key: str) -> list[Tensor]:
    if not strength:
        return []
    found = {id(tensor): tensor for tensor in tensors if tensor is not None and tensor.trainable}  # shared ones once
    if not found:
        kind = "BatchNorm" if key == "bn" else "convolution"
        raise ConfigError(f"sparsity.{key}: expected a network with a {kind} that is trained, found none; set it to 0")
    return list(found.values())


def _add(parameter: Tensor, extra: Tensor) -> None:
    extra = extra.astype(parameter.dtype)
    parameter.grad = extra if parameter.grad is None else parameter.grad + extra
