"""Batch normalisation in training (Ioffe and Szegedy 2015, arXiv:1502.03167), with the ReLU that may follow."""

from dataclasses import dataclass
from typing import NamedTuple

import paddle
from paddle import Tensor

from ppresnet.onednn import api as c
from ppresnet.onednn import form
from ppresnet.onednn.api import Handle
from ppresnet.onednn.form import Form
from ppresnet.onednn.kernel import Conversion, Kernel
from ppresnet.onednn.library import Library
from ppresnet.onednn.session import Session
from ppresnet.paddle_api import empty


class NormShape(NamedTuple):
    """A batch normalisation of given sizes.

    Attributes:
        source: batch, channels, height, width.
        epsilon: added to the variance.
        relu: whether a ReLU follows.
        frozen: whether it uses statistics that it is given, instead of those of the batch.
    """

    source: tuple[int, ...]
    epsilon: float
    relu: bool
    frozen: bool = False


@dataclass(frozen=True)
class Statistics:
    """Mean and (biased) variance, float32 [channels]: those to use, or where those of the batch are put."""

    mean: Tensor
    variance: Tensor


class Normalised(NamedTuple):
    """What the forward pass leaves for the gradient: the statistics that it used, and the ReLU's signs."""

    mean: Tensor
    variance: Tensor
    workspace: Tensor


class NormPlan:
    """The primitives of a batch normalisation of one shape.

    Args:
        library: the library.
        shape: of the normalisation.
        layout: that of its input, and of its input's gradient; None: a plain float32 tensor.
        after: form of its output and of the gradient of that; None: a plain float32 tensor.

    Raises:
        OneDnnError: `unimplemented` where oneDNN has no such kernel.
    """

    def __init__(
        self, library: Library, shape: NormShape, layout: Handle | None = None, after: Form | None = None
    ) -> None:
        self.shape = shape
        usual = form.plain(library, shape.source)
        inside = layout if layout is not None else usual.layout
        self._after = after if after is not None else usual
        flags = c.USE_SCALE | c.USE_SHIFT | (c.FUSE_RELU if shape.relu else 0)
        flags |= c.USE_GLOBAL_STATS if shape.frozen else 0
        workspace = [c.WORKSPACE] if shape.relu else []
        forward = library.create(
            "primitive_desc", library.engine.value, c.FORWARD_TRAINING, inside, inside, shape.epsilon, flags,
            library.attributes.value, function="batch_normalization_forward_primitive_desc_create",
        )  # fmt: skip
        statistics = [c.MEAN, c.VARIANCE, c.SCALE]
        self.forward = Kernel(library, forward, (c.SRC, c.DST, c.SHIFT, *statistics, *workspace))
        backward = library.create(
            "primitive_desc", library.engine.value, c.BACKWARD, inside, inside, inside, shape.epsilon, flags,
            forward.value, library.attributes.value, function="batch_normalization_backward_primitive_desc_create",
        )  # fmt: skip
        gradients = [c.DIFF_SRC, c.DIFF_DST, c.DIFF_SCALE, c.DIFF_SHIFT]
        self.backward = Kernel(library, backward, (c.SRC, *statistics, *workspace, *gradients))
        self.destination = Conversion(library, self.forward.layouts[c.DST], self._after.layout)
        self.gradient = Conversion(library, self._after.layout, self.backward.layouts[c.DIFF_DST])
        self.source_size = self.forward.size(c.SRC)
        self.workspace_size = self.forward.size(c.WORKSPACE) if shape.relu else 0

    def run(
        self, session: Session, source: int, scale: Tensor, shift: Tensor, statistics: Statistics
    ) -> tuple[Tensor, Normalised]:
        """Return the output in its form, and what the gradient needs.

        Args:
            session: of this thread.
            source: address of the input.
            scale: float32 [channels].
            shift: float32 [channels].
            statistics: read where they are frozen, else written.
        """
        destination, workspace = self._after.empty(), empty([self.workspace_size], paddle.uint8)
        result = Normalised(statistics.mean, statistics.variance, workspace)
        landed = self.destination.landing(session, destination.data_ptr())
        addresses = {c.SRC: source, c.DST: landed, c.SCALE: scale.data_ptr(), c.SHIFT: shift.data_ptr()}
        self.forward.run(session, addresses | self._kept(result))
        self.destination.leave(session, landed, destination.data_ptr())
        return destination, result

    def run_backward(
        self, session: Session, source: int, scale: Tensor, kept: Normalised, gradient: Tensor, target: int | None
    ) -> tuple[int, Tensor, Tensor]:
        """Return the gradients: where that of the input is, in its layout, and those of scale and shift.

        Args:
            session: of this thread.
            source: address of the input.
            scale: float32 [channels].
            kept: what `run` returned.
            gradient: of the output, in its layout.
            target: where the gradient of the input goes; None: to scratch memory.
        """
        entered = self.gradient.enter(session, gradient.data_ptr())
        if target is None:
            target = entered if self.gradient.needed else session.take(self.source_size)
        result = empty(scale.shape), empty(scale.shape)
        addresses = {c.SRC: source, c.SCALE: scale.data_ptr(), c.DIFF_DST: entered, c.DIFF_SRC: target}
        addresses |= {c.DIFF_SCALE: result[0].data_ptr(), c.DIFF_SHIFT: result[1].data_ptr()}
        self.backward.run(session, addresses | self._kept(kept))
        return target, *result

    def _kept(self, kept: Normalised) -> dict[int, int]:
        addresses = {c.MEAN: kept.mean.data_ptr(), c.VARIANCE: kept.variance.data_ptr()}
        return addresses | ({c.WORKSPACE: kept.workspace.data_ptr()} if self.shape.relu else {})
