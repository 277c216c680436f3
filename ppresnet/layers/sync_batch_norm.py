"""Batch normalisation over the images of all processes; Paddle's own runs on GPUs only."""

from dataclasses import dataclass
from typing import Any

import paddle
import paddle.distributed as dist
import paddle.nn.functional as F
from paddle import Tensor, nn
from paddle.autograd import PyLayer


class SyncBatchNorm2D(nn.BatchNorm2D):
    """BatchNorm whose batch is that of all processes in training (Ioffe and Szegedy 2015, arXiv:1502.03167).

    Every process calls it in the same order, forward and backward, with as many images as it likes. In a single
    process, in evaluation and in exported programs it is BatchNorm2D.

    Args:
        channels: of the images.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised images, float32 [batch, channels, height, width]."""
        if not self._reaches_others():
            return nn.BatchNorm2D.forward(self, input)
        with paddle.no_grad():
            batch = batch_statistics(input)
            for running, new in ((self._mean, batch.mean), (self._variance, batch.variance)):
                running.set_value(running * self._momentum + new * (1.0 - self._momentum))
        return _Normalise.apply(input, self.weight, self.bias, batch, self._epsilon)

    def _reaches_others(self) -> bool:
        return bool(
            self.training
            and not self._use_global_stats
            and paddle.in_dynamic_mode()
            and dist.is_initialized()
            and dist.get_world_size() > 1
        )


@dataclass(frozen=True)  # a NamedTuple would be searched for tensors by PyLayer
class BatchStatistics:
    """Of the images of all processes.

    Attributes:
        mean: float32 [channels].
        variance: float32 [channels], biased.
        pixels: of each channel.
    """

    mean: Tensor
    variance: Tensor
    pixels: float


def batch_statistics(x_NCHW: Tensor) -> BatchStatistics:
    """Return the statistics of the images of all processes together (Chan et al. 1979: no difference of large sums)."""
    x_NCHW = x_NCHW.astype("float32")
    mean = x_NCHW.mean([0, 2, 3])
    variance = (x_NCHW - mean.reshape([1, -1, 1, 1])).square().mean([0, 2, 3])
    count = paddle.full([1], x_NCHW.size // x_NCHW.shape[1], "float32")
    gathered: list[Tensor] = []
    dist.all_gather(gathered, paddle.concat([mean, variance, count]))
    mean_RC, variance_RC, count_R1 = paddle.split(paddle.stack(gathered), [mean.size, mean.size, 1], axis=1)
    share_R1 = count_R1 / count_R1.sum()
    mean = (mean_RC * share_R1).sum(0)
    variance = ((variance_RC + (mean_RC - mean).square()) * share_R1).sum(0)
    return BatchStatistics(mean, variance, float(count_R1.sum()))


class _Normalise(PyLayer):
    """`apply(x, scale, shift, batch, epsilon)`; the gradients of scale and shift are those of this process's images."""

    @staticmethod
    def forward(
        context: Any, x_NCHW: Tensor, scale: Tensor, shift: Tensor, batch: BatchStatistics, epsilon: float
    ) -> Tensor:
        context.save_for_backward(x_NCHW, scale)
        context.batch, context.epsilon = batch, epsilon
        context.wanted = tuple(not tensor.stop_gradient for tensor in (x_NCHW, scale, shift))
        return F.batch_norm(x_NCHW, batch.mean, batch.variance, scale, shift, epsilon=epsilon)

    @staticmethod
    def backward(context: Any, gradient_NCHW: Tensor) -> tuple[Tensor | None, ...]:
        x_NCHW, scale = context.saved_tensor()
        batch, over = context.batch, [1, -1, 1, 1]
        inverse = paddle.rsqrt(batch.variance + context.epsilon)
        normal_NCHW = (x_NCHW.astype("float32") - batch.mean.reshape(over)) * inverse.reshape(over)
        gradient_NCHW = gradient_NCHW.astype("float32")
        to_scale = (gradient_NCHW * normal_NCHW).sum([0, 2, 3])
        to_shift = gradient_NCHW.sum([0, 2, 3])
        # What flows back through mean and variance comes from the images of all processes.
        sums = paddle.concat([to_scale, to_shift])
        dist.all_reduce(sums)
        through_variance, through_mean = (part.reshape(over) for part in paddle.split(sums / batch.pixels, 2))
        centred_NCHW = gradient_NCHW - through_mean - normal_NCHW * through_variance
        to_x_NCHW = (centred_NCHW * (scale * inverse).reshape(over)).astype(x_NCHW.dtype)
        gradients = (to_x_NCHW, to_scale, to_shift)
        return tuple(found if wanted else None for found, wanted in zip(gradients, context.wanted, strict=True))
