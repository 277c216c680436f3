"""Weights fitted anew after a cut, so that each layer gives from fewer inputs what it gave from all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import paddle
import paddle.nn.functional as F
from numpy.typing import NDArray
from paddle import Tensor, nn

from deploy.slim.kept import Kept, Positions
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import model_of
from ppresnet.errors import DataError

POSITIONS = 16  # of the output of a convolution, in each image
RIDGE = 1e-3  # of the mean square of an input
Rows = NDArray[np.float64]
Watch = Callable[[nn.Layer, Tensor, Tensor], None]


@dataclass
class Fit:
    """Least squares for the change of a layer's weight, from sums over rows of inputs and what they leave unexplained.

    The change is held small by a ridge, so that few images do no harm.
    """

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
        ridge = RIDGE * np.trace(self.squares) / len(self.squares) + np.finfo(float).tiny
        return np.asarray(np.linalg.solve(self.squares + ridge * np.eye(len(self.squares)), self.products))


def reconstructed(
    whole: Checkpoint, smaller: Checkpoint, kept: Kept, batches: Sequence[NDArray[np.float32]]
) -> Checkpoint:
    """Return the smaller network with weights that make up for the inputs they lost; nothing else changes.

    Layer by layer in the order the network runs, the weight is fitted by least squares: from what the layer now is
    given to what it gave in the whole network, before its normalisation (He et al. 2017, arXiv:1707.06168, section
    3.2; Luo et al. 2017, arXiv:1707.06342, section 3.2.3). Grouped convolutions keep the weights they have.

    Args:
        whole: what was cut.
        smaller: what is left of it, with all its blocks.
        kept: the units that stayed.
        batches: float32 images [batch, channels, size, size], such as those of a training split.

    Raises:
        DataError: there is no image.
    """
    if not batches:
        raise DataError("reconstruction needs at least one batch of images, found none")
    model, teacher = model_of(smaller), model_of(whole)
    wanted = _wanted(teacher, kept.changed(), batches)
    for name in wanted:
        layer = dict(model.named_sublayers())[name]
        _refit(model, layer, batches, wanted[name])
    fitted = {f"{name}.weight": dict(model.named_sublayers())[name].weight.numpy() for name in wanted}
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
        stays = changed[f"{names[id(layer)]}.weight"].get(_axes(layer)[1])
        rows = _outputs(layer, y)
        found.setdefault(names[id(layer)], []).append(rows if stays is None else rows[:, stays])

    losing = [
        layer
        for name, layer in teacher.named_sublayers()
        if _can_be_fitted(layer) and _axes(layer)[0] in changed.get(f"{name}.weight", {})
    ]
    with watched(losing, note), paddle.no_grad():
        for images in batches:
            teacher(paddle.to_tensor(images))
    return found


def _refit(model: nn.Layer, layer: nn.Layer, batches: Sequence[NDArray[np.float32]], wanted: Sequence[Rows]) -> None:
    fit, left = Fit(), iter(wanted)

    def note(layer: nn.Layer, x: Tensor, y: Tensor) -> None:
        fit.add(_inputs(layer, x), next(left) - _outputs(layer, y))

    with watched([layer], note), paddle.no_grad():
        for images in batches:
            model(paddle.to_tensor(images))
    change_IO = fit.change()
    weight = layer.weight.numpy()
    change = change_IO if isinstance(layer, nn.Linear) else change_IO.T.reshape(weight.shape)
    layer.weight.set_value((weight + change).astype(weight.dtype))


@contextmanager
def watched(layers: Sequence[nn.Layer], note: Watch) -> Iterator[None]:
    """Call `note` with layer, input and output whenever one of the layers runs."""
    hooks = [layer.register_forward_post_hook(lambda layer, given, y: note(layer, given[0], y)) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _can_be_fitted(layer: nn.Layer) -> bool:
    if isinstance(layer, nn.Conv2D):
        # Paddle tells these nowhere else; `unfold` counts four paddings in another order.
        return bool(layer._groups == 1 and layer._padding_mode == "zeros" and len(layer._updated_padding) == 2)
    return isinstance(layer, nn.Linear)


def _axes(layer: nn.Layer) -> tuple[int, int]:
    """Return the axes of the weight that are the inputs and the outputs."""
    return (0, 1) if isinstance(layer, nn.Linear) else (1, 0)


def _inputs(layer: nn.Layer, x: Tensor) -> Rows:
    """Return rows of what makes one output each: features, or the patch beneath a kernel, float64 [rows, inputs]."""
    if isinstance(layer, nn.Linear):
        rows: Rows = x.numpy().reshape(-1, x.shape[-1]).astype(np.float64)
        return rows
    patches_NIL = F.unfold(x, layer._kernel_size, layer._stride, layer._updated_padding, layer._dilation).numpy()
    return _sampled(patches_NIL)


def _outputs(layer: nn.Layer, y: Tensor) -> Rows:
    """Return the outputs that belong to `_inputs`, float64 [rows, outputs]."""
    if isinstance(layer, nn.Linear):
        rows: Rows = y.numpy().reshape(-1, y.shape[-1]).astype(np.float64)
        return rows
    return _sampled(y.numpy().reshape(y.shape[0], y.shape[1], -1))


def _sampled(values_NCL: NDArray[np.float32]) -> Rows:
    """Return a few positions of each image, always the same ones, float64 [images * positions, channels]."""
    length = values_NCL.shape[2]
    chosen = np.random.default_rng(length).permutation(length)[:POSITIONS]
    rows: Rows = values_NCL[:, :, chosen].transpose(0, 2, 1).reshape(-1, values_NCL.shape[1]).astype(np.float64)
    return rows
