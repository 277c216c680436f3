"""How much of the activations is zero, and which ReLU channels are dead."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import paddle
from paddle import Tensor, nn

from ppresnet.layers import ConvNorm
from ppresnet.train.monitors.parts import part_of, totals
from ppresnet.train.monitors.protocol import Numbers


class Relus:
    """Tells over a period, for each stage and for all, the share of zeros and that of channels that never fired.

    Only passes that the gradient goes through count, each once: under recompute the first of the two, without a
    gradient, does not; nor does an evaluation. With several processes the images are those of the first one.
    On a CPU a step takes about a quarter longer.

    Args:
        model: the network.
        every: optimiser steps in a period.
        write: is given the kind (`sparsity`, `dead_relus`), the step and shares from 0 to 1.
    """

    def __init__(self, model: nn.Layer, every: int, write: Callable[[str, int, Numbers], None]) -> None:
        self._every, self._write = every, write
        self._fired: dict[str, Tensor] = {}
        self._outputs: dict[str, int] = {}
        self._hooks = [
            layer.register_forward_post_hook(partial(self._count, name)) for name, layer in relus_of(model).items()
        ]

    def on_step(self, step: int) -> None:
        """Tell the shares at the end of a period, and begin the next one."""
        if step % self._every == 0:
            for kind, shares in self.shares().items():
                self._write(kind, step, shares)
            self._fired.clear()
            self._outputs.clear()

    def on_eval(self, step: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Take the hooks away."""
        for hook in self._hooks:
            hook.remove()

    def shares(self, part: Callable[[str], str] = part_of) -> dict[str, dict[str, float]]:
        """Return the shares of the period so far, by kind and part; `part` gives that of a structured name."""
        if not self._fired:
            return {}
        fired = {name: np.asarray(counts.numpy(), np.float64) for name, counts in self._fired.items()}
        positive = totals(((name, float(counts.sum())) for name, counts in fired.items()), part)
        outputs = totals(self._outputs.items(), part)
        dead = totals(((name, float((counts == 0).sum())) for name, counts in fired.items()), part)
        channels = totals(((name, counts.size) for name, counts in fired.items()), part)
        return {
            "sparsity": {name: 1.0 - count / outputs[name] for name, count in positive.items()},
            "dead_relus": {name: count / channels[name] for name, count in dead.items()},
        }

    def _count(self, name: str, _: nn.Layer, __: object, out: Tensor) -> None:
        if not paddle.is_grad_enabled():
            return
        with paddle.no_grad(), paddle.amp.auto_cast(enable=False):
            channel = out.ndim - 1 if out.ndim == 3 else 1  # tokens [batch, length, channels]
            axes = [axis for axis in range(out.ndim) if axis != channel]
            fired = (out > 0).astype("float32").sum(axes).astype("float64")
            self._fired[name] = self._fired[name] + fired if name in self._fired else fired
        self._outputs[name] = self._outputs.get(name, 0) + int(out.size)


def relus_of(model: nn.Layer) -> dict[str, nn.Layer]:
    """Return by name the layers whose output is that of a ReLU.

    A ConvNorm stands for its ReLU, which oneDNN's training kernels compute without calling it.
    """
    units = {name: layer for name, layer in model.named_sublayers() if isinstance(layer, ConvNorm)}
    inside = {f"{name}.act" for name in units}
    found = {name: layer for name, layer in units.items() if type(layer.act) is nn.ReLU}
    for name, layer in model.named_sublayers():
        if type(layer) is nn.ReLU and name not in inside:
            found[name] = layer
    return found
