"""Weights fitted anew after a cut, so that each layer gives from fewer inputs what it gave from all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn

from deploy.slim.kept import Kept, Positions
from deploy.slim.rows import (
    Rows,
    axes_of,
    constant_of,
    inputs_of,
    is_product,
    outputs_of,
    ridged,
    watched,
    with_constant,
)
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import model_of
from ppresnet.errors import DataError

RIDGE = 1.0  # of the mean variance of an input; a smaller one gains little and changes weights much, which train badly


@dataclass
class Fit:
    """Least squares for the change of a layer's weight, from sums over rows of inputs and what they leave unexplained.

    The change is held small by a ridge, so that few images do no harm.

    Attributes:
        constant: whether the last input is a 1, so that a constant is fitted too.
        ridge: what holds the change small, as a share of the mean variance of an input.
    """

    constant: bool = False
    ridge: float = RIDGE
    squares: Rows = field(default_factory=lambda: np.zeros((0, 0)))
    products: Rows = field(default_factory=lambda: np.zeros((0, 0)))

    def add(self, inputs_RI: Rows, missing_RO: Rows) -> None:
        """Take in rows of inputs, and of what the output lacks."""
        if not self.squares.size:
            self.squares = np.zeros((inputs_RI.shape[1], inputs_RI.shape[1]))
            self.products = np.zeros((inputs_RI.shape[1], missing_RO.shape[1]))
        self.squares += inputs_RI.T @ inputs_RI
        self.products += inputs_RI.T @ missing_RO

    def change(self) -> Rows:
        """Return what to add to the weight, float64 [inputs, outputs]."""
        return np.asarray(np.linalg.solve(ridged(self.squares, self.constant, self.ridge), self.products))


def reconstructed(
    whole: Checkpoint,
    smaller: Checkpoint,
    kept: Kept,
    batches: Sequence[NDArray[np.float32]],
    ridge: float = RIDGE,
) -> Checkpoint:
    """Return the smaller network with weights that make up for the inputs they lost.

    Layer by layer in the order the network runs, the weight is fitted by least squares: from what the layer now is
    given to what it gave in the whole network, before its normalisation (He et al. 2017, arXiv:1707.06168, section
    3.2; Luo et al. 2017, arXiv:1707.06342, section 3.2.3). A constant is fitted with it where a bias or the mean of a
    BatchNorm takes it. Grouped convolutions keep the weights they have, and all else stays.

    Args:
        whole: what was cut.
        smaller: what is left of it, with all its blocks.
        kept: the units that stayed.
        batches: float32 images [batch, channels, size, size], such as those of a training split.
        ridge: of the fit.

    Raises:
        DataError: there is no image.
    """
    if not batches:
        raise DataError("reconstruction needs at least one batch of images, found none")
    model, teacher = model_of(smaller), model_of(whole)
    state, layers = model.state_dict(), dict(model.named_sublayers())
    wanted = _wanted(teacher, kept.changed(), batches)
    changed = []
    for name in wanted:
        constant = constant_of(name, kept.graph, state)
        fit = Fit(constant is not None, ridge)
        _refit(model, layers[name], batches, wanted[name], fit, constant and (state[constant[0]], constant[1]))
        changed += [f"{name}.weight", *([constant[0]] if constant else [])]
    fitted = {name: state[name].numpy() for name in changed}
    averaged = {name: array for name, array in fitted.items() if name in smaller.ema}
    trained = {name: array for name, array in fitted.items() if name not in averaged}
    return replace(
        smaller,
        weights={**smaller.weights, **trained},
        ema={**smaller.ema, **averaged} if averaged else smaller.ema,
    )


def _wanted(
    teacher: nn.Layer, changed: Mapping[str, Mapping[int, Positions]], batches: Sequence[NDArray[np.float32]]
) -> dict[str, list[Rows]]:
    """Return what layers that lose inputs gave before, of the outputs that stay, by layer in the order they run."""
    names = {id(layer): name for name, layer in teacher.named_sublayers()}
    found: dict[str, list[Rows]] = {}

    def note(layer: nn.Layer, x: Tensor, y: Tensor) -> None:
        stays = changed[f"{names[id(layer)]}.weight"].get(axes_of(layer)[1])
        rows = outputs_of(layer, y)
        found.setdefault(names[id(layer)], []).append(rows if stays is None else rows[:, stays])

    losing = [
        layer
        for name, layer in teacher.named_sublayers()
        if is_product(layer) and axes_of(layer)[0] in changed.get(f"{name}.weight", {})
    ]
    with watched(losing, note), paddle.no_grad():
        for images in batches:
            teacher(paddle.to_tensor(images))
    return found


def _refit(
    model: nn.Layer,
    layer: nn.Layer,
    batches: Sequence[NDArray[np.float32]],
    wanted: Sequence[Rows],
    fit: Fit,
    constant: tuple[Tensor, int] | None,
) -> None:
    """Fit the weight of a layer, and what takes a constant with its sign."""
    left = iter(wanted)

    def note(layer: nn.Layer, x: Tensor, y: Tensor) -> None:
        inputs = inputs_of(layer, x)
        fit.add(inputs if constant is None else with_constant(inputs), next(left) - outputs_of(layer, y))

    with watched([layer], note), paddle.no_grad():
        for images in batches:
            model(paddle.to_tensor(images))
    change_IO = fit.change()
    if constant is not None:
        change_IO, offset_O = change_IO[:-1], change_IO[-1]
        taker, sign = constant
        taker.set_value((taker.numpy() + sign * offset_O).astype(taker.numpy().dtype))
    weight = layer.weight.numpy()
    change = change_IO if isinstance(layer, nn.Linear) else change_IO.T.reshape(weight.shape)
    layer.weight.set_value((weight + change).astype(weight.dtype))
