"""One gradient and one set of running statistics out of those that several processes found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import paddle
from paddle import Tensor, nn

from ppresnet.train.ranks import Ranks

STATISTICS = ("_mean", "_variance")
BUCKET = 2**22  # numbers to one message, 16 MB in float32


class Gradients:
    """Adds up the gradients of a network over all processes, and averages its running statistics.

    Each process's loss counts by its share of the images, so that the sum is the gradient of the whole batch. Running
    statistics move in each process by its own images, and then all take the mean of these moves, by the same shares:
    all processes hold the same ones at any time, and a checkpoint or a change of the number of processes alters
    nothing. Statistics that did not move keep their bits.

    Args:
        model: the network, the same in every process.
        ranks: the processes.
    """

    def __init__(self, model: nn.Layer, ranks: Ranks) -> None:
        self._ranks = ranks
        self._parameters = [parameter for parameter in model.parameters() if parameter.trainable]
        # Paddle keeps running statistics among the parameters, without a gradient.
        statistics = (tensor for name, tensor in model.state_dict().items() if name.endswith(STATISTICS))
        self._statistics = list(statistics)
        self._before: Tensor | None = None

    @paddle.no_grad()  # type: ignore[untyped-decorator]
    def open(self) -> None:
        """Note the running statistics; call it before the forward passes of a step."""
        if self._statistics:
            self._before = _flat(self._statistics)

    @paddle.no_grad()  # type: ignore[untyped-decorator]
    def close(self, share: float) -> None:
        """Put the sums into the gradients and the means into the statistics; call it after the last backward pass.

        Args:
            share: of the step's images that this process had, from 0 to 1.
        """
        if self._ranks.size == 1:
            return
        tensors = [p.grad if p.grad is not None else paddle.zeros_like(p) for p in self._parameters]
        # A process without images has no gradients, and a parameter that no process used must stay without one.
        tensors.append(paddle.to_tensor([float(p.grad is not None) for p in self._parameters]))
        if self._before is not None:
            tensors.append((_flat(self._statistics) - self._before) * share)
        totals = self._added(tensors)
        if self._before is not None:
            self._move(totals.pop())
        used = totals.pop().tolist()
        for parameter, total, count in zip(self._parameters, totals, used, strict=True):
            if count:
                parameter.grad = total

    def _added(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the sums of tensors over all processes, in few messages."""
        totals: list[Tensor] = []
        for bucket in buckets([int(tensor.size) for tensor in tensors]):
            own = [tensors[index] for index in bucket]
            totals += _cut(self._ranks.add(_flat(own)), own)
        return totals

    def _move(self, moves: Tensor) -> None:
        for statistic, moved in zip(self._statistics, _cut(self._before + moves, self._statistics), strict=True):
            paddle.assign(moved, output=statistic)

    @paddle.no_grad()  # type: ignore[untyped-decorator]
    def revert(self) -> None:
        """Put the running statistics back to what they were at `open`, since a bad step moved them too."""
        if self._before is not None:
            self._move(paddle.zeros_like(self._before))


def buckets(sizes: Sequence[int], limit: int = BUCKET) -> Iterator[list[int]]:
    """Yield the indices of tensors that go together: in order, as many as fit into the limit, at least one."""
    bucket: list[int] = []
    filled = 0
    for index, size in enumerate(sizes):
        if bucket and filled + size > limit:
            yield bucket
            bucket, filled = [], 0
        bucket.append(index)
        filled += size
    if bucket:
        yield bucket


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return paddle.concat([tensor.astype("float32").flatten() for tensor in tensors])


def _cut(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Return the parts of a flat tensor in the shapes and types of those it was made of."""
    parts = paddle.split(flat, [int(tensor.size) for tensor in like]) if len(like) > 1 else [flat]
    return [part.reshape(tensor.shape).astype(tensor.dtype) for part, tensor in zip(parts, like, strict=True)]
