"""Every n-th pixel with zero channels around it: copies, so equal to Paddle's own to the bit."""

import numpy as np
import paddle
import pytest

from ppresnet.layers import ZeroPadSkip
from ppresnet.onednn import Kernels


@pytest.mark.parametrize(
    ("channels", "stride", "before", "size"),
    [
        ((16, 32), 2, None, (8, 8)),
        ((3, 8), 2, 0, (6, 10)),
        ((4, 5), 3, 1, (9, 6)),
        ((6, 6), 2, None, (4, 4)),
        ((2, 7), 2, 5, (2, 4)),
    ],
)
def test_output_and_gradient_are_paddles(
    kernels: Kernels, channels: tuple[int, int], stride: int, before: int | None, size: tuple[int, int]
) -> None:
    layer = ZeroPadSkip(*channels, stride, before=before)
    source = paddle.randn([3, channels[0], *size])
    source.stop_gradient = False
    results = [kernels.pad(layer, source), layer(source)]
    assert results[0] is not None
    gradient = paddle.randn(results[0].shape)
    for found, expected in zip(*([one, *paddle.grad(one, source, gradient)] for one in results), strict=True):
        assert np.array_equal(found.numpy(), expected.numpy())
    assert np.abs(results[0].numpy()).max() > 0


def test_switch_takes_it_in_training_only(fused: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, own = [], Kernels.pad
    monkeypatch.setattr(Kernels, "pad", lambda *arguments: calls.append(own(*arguments)) or calls[-1])
    layer, source = ZeroPadSkip(4, 8, 2), paddle.rand([2, 4, 6, 6])
    trained = layer(source)
    layer.eval()
    # Paddle's reciprocal of a root may be one bit off, which depends on the CPU; evaluation has a BatchNorm.
    np.testing.assert_allclose(layer(source).numpy(), trained.numpy(), rtol=2e-7)
    assert [one is not None for one in calls] == [True, False]


@pytest.mark.parametrize(("stride", "size"), [(1, (6, 6)), (2, (7, 6)), (2, (6, 7))])
def test_other_shapes_are_left_to_paddle(fused: Kernels, stride: int, size: tuple[int, int]) -> None:
    layer, source = ZeroPadSkip(4, 8, stride), paddle.rand([2, 4, *size])
    assert fused.pad(layer, source) is None
    assert layer(source).shape == [2, 8, *(-(-side // stride) for side in size)]
