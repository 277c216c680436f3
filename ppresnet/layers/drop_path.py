"""Stochastic depth."""

import paddle
from paddle import Tensor, nn


class DropPath(nn.Layer):
    """Drops the branch of a residual block, sample by sample, in training (Huang et al. 2016, arXiv:1603.09382).

    What survives is divided by the probability of surviving, so that evaluation needs no scaling.

    Args:
        rate: probability of dropping, in [0, 1).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch_NCHW: Tensor) -> Tensor:
        """Return the branch, a random share of its samples zeroed in training; same shape."""
        if not self.training or self.rate == 0.0:
            return branch_NCHW
        keep = 1.0 - self.rate
        shape = [branch_NCHW.shape[0]] + [1] * (branch_NCHW.ndim - 1)
        survives = paddle.floor(paddle.rand(shape, dtype=branch_NCHW.dtype) + keep)
        return branch_NCHW * survives / keep

    def extra_repr(self) -> str:
        """Return the rate, for printing."""
        return f"rate={self.rate}"


def linear_rates(highest: float, blocks: int) -> list[float]:
    """Return the rate of each block, from zero at the first to the highest at the last (Huang et al., section 3)."""
    return [highest * index / max(blocks - 1, 1) for index in range(blocks)]
