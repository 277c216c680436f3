"""What each block does to the features that stream through a network, and to the gradient on its way back.

A block with a skip adds to what the skip carries. How much it adds says what it is worth: blocks that change little can
go (Veit et al. 2016, arXiv:1605.06431; Greff et al. 2017, arXiv:1612.07771). Gradients that vanish towards the first
block are what skips are there against (He et al. 2016, arXiv:1603.05027).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn

from ppresnet.errors import RequestError
from ppresnet.layers import DenseLayer, DenseSkip, DepthwiseSeparable, PlainBlock, PreActResidual, Residual
from ppresnet.layers.attention import EncoderBlock
from ppresnet.layers.gated_blocks import HighwayBlock
from ppresnet.layers.ode import ODEBlock
from ppresnet.train.losses import Kind, cross_entropy
from ppresnet.train.metrics import correct_in_top
from ppresnet.train.monitors.gradient_norms import gradient_norms
from ppresnet.train.monitors.relus import Relus

ADDING = (Residual, PreActResidual, HighwayBlock, EncoderBlock, ODEBlock, DenseLayer)
BLOCKS = (*ADDING, PlainBlock, DepthwiseSeparable)


@dataclass(frozen=True)
class BlockFlow:
    """What was measured at one block.

    Attributes:
        block: structured name.
        kind: class of the block.
        skip: class of its skip; `identity` where the block adds to its own input, None where it adds to nothing.
        input_rms: root mean square of the features that come in.
        output_rms: of those that go out.
        change: root mean square of what is added, by that of what the skip carries; None without a skip.
        gradient: of an image's loss by the block's output, the L2 norm, root mean square over the images.
        weight_gradient: of the mean loss by the block's parameters, the L2 norm.
        zeros: share of zeros in the outputs of its ReLUs, None where it has none.
        dead_relus: share of their channels that no image made positive.
    """

    block: str
    kind: str
    skip: str | None
    input_rms: float
    output_rms: float
    change: float | None
    gradient: float
    weight_gradient: float
    zeros: float | None
    dead_relus: float | None


@dataclass(frozen=True)
class Flow:
    """What was measured of a network: mean loss and percent of images right in training mode, and its blocks."""

    loss: float
    top1: float
    blocks: tuple[BlockFlow, ...]


def measure_flow(
    model: nn.Layer, batches: Iterable[tuple[NDArray[np.float32], NDArray[np.int64]]], kind: Kind = "cross_entropy"
) -> Flow:
    """Return what the blocks of a network do to some images, in training mode: normalised by their own statistics.

    Running statistics move, gradients are left, and hooks are taken away again: give it a network of its own.

    Args:
        model: a network with blocks.
        batches: images [n, channels, size, size] and labels, as `cross_entropy` takes them.
        kind: the loss.

    Raises:
        RequestError: it has no blocks, or there are no images.
    """
    probes = {name: _Probe(layer) for name, layer in model.named_sublayers() if isinstance(layer, BLOCKS)}
    if not probes:
        raise RequestError(f"expected a network of blocks, found the family '{model.spec.family}', which has none")
    relus = Relus(model, 1, lambda *_: None)
    loss_sum, right, images = 0.0, 0, 0
    model.train()
    model.clear_gradients()
    try:
        for inputs, labels in batches:
            logits = model(paddle.to_tensor(inputs))
            loss = cross_entropy(logits, paddle.to_tensor(labels), kind=kind) * len(labels)
            loss.backward()
            loss_sum, images = loss_sum + float(loss), images + len(labels)
            right += correct_in_top(logits.numpy(), labels, 1)
    finally:
        relus.close()
        for probe in probes.values():
            probe.close()
    if not images:
        raise RequestError("expected images to measure with, found none")
    shares = relus.shares(lambda name: next((block for block in probes if name.startswith(f"{block}.")), "elsewhere"))
    blocks = [
        probe.flow(name, images, *(shares.get(what, {}).get(name) for what in ("sparsity", "dead_relus")))
        for name, probe in probes.items()
    ]
    return Flow(loss_sum / images, 100.0 * right / images, tuple(blocks))


class _Probe:
    """Adds up squares of what passes through one block."""

    def __init__(self, layer: nn.Layer) -> None:
        self._layer = layer
        self._squares: dict[str, float] = defaultdict(float)
        self._sizes: dict[str, int] = defaultdict(int)
        self._carried: Tensor | None = None
        self._sum: Tensor | None = None
        self._hooks = [layer.register_forward_post_hook(self._see)]
        skip = getattr(layer, "skip", None)
        self._skip = None if skip is None or isinstance(skip, DenseSkip) else skip
        if self._skip is not None:
            self._hooks.append(self._skip.register_forward_post_hook(self._see_skip))
        if isinstance(layer, Residual):
            self._hooks.append(layer.act.register_forward_pre_hook(self._see_sum))

    def close(self) -> None:
        """Take the hooks away."""
        for hook in self._hooks:
            hook.remove()

    def flow(self, name: str, images: int, zeros: float | None, dead: float | None) -> BlockFlow:
        """Return what was measured, over so many images."""
        norms = gradient_norms(self._layer)
        own = self._layer
        skip = type(self._skip).__name__ if self._skip is not None else None
        return BlockFlow(
            block=name,
            kind=type(own).__name__,
            skip=skip or (_skip_name(own) if isinstance(own, ADDING) else None),
            input_rms=self._rms("input"),
            output_rms=self._rms("output"),
            change=self._rms("added") / max(self._rms("carried"), 1e-12) if isinstance(own, ADDING) else None,
            gradient=math.sqrt(self._squares["gradient"] / images),
            weight_gradient=norms.get("all", 0.0) / images,
            zeros=zeros,
            dead_relus=dead,
        )

    def _rms(self, what: str) -> float:
        return math.sqrt(self._squares[what] / max(self._sizes[what], 1))

    def _note(self, what: str, tensor: Tensor) -> None:
        with paddle.no_grad():
            self._squares[what] += float(tensor.astype("float32").square().sum())
        self._sizes[what] += int(tensor.size)

    def _see_skip(self, _: nn.Layer, __: object, out: Tensor) -> None:
        self._carried = out

    def _see_sum(self, _: nn.Layer, inputs: tuple[Tensor, ...]) -> None:
        self._sum = inputs[0]

    def _see(self, layer: nn.Layer, inputs: tuple[Any, ...], out: Tensor) -> None:
        x = inputs[0]
        self._note("input", x)
        self._note("output", out)
        if not out.stop_gradient:
            out.register_hook(lambda gradient: self._note("gradient", gradient))
        if isinstance(layer, ADDING):
            carried = x if self._carried is None else self._carried
            self._note("carried", carried)
            with paddle.no_grad():
                new = isinstance(layer, DenseLayer)
                total = out if self._sum is None else self._sum
                self._note("added", out[:, x.shape[1] :] if new else total - carried)
        self._carried = self._sum = None


def _skip_name(layer: nn.Layer) -> str:
    return type(layer.skip).__name__ if hasattr(layer, "skip") else "identity"
