"""The trial before use: a small convolution, a normalisation and their gradients, against Paddle's own kernels."""

import numpy as np
import paddle
from paddle import Tensor, nn

from ppresnet.onednn.api import FLOAT32
from ppresnet.onednn.kernels import Kernels
from ppresnet.onednn.library import OneDnnError

# Largest |ours - Paddle's| over Paddle's, both as Euclidean norms.
LIMITS = {True: 1e-5, False: 2e-2}


class _Unit(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2D(16, 32, 3, stride=2, padding=1, groups=2, bias_attr=False)
        self.norm = nn.BatchNorm2D(32)
        self.act = nn.Identity()


def expect_equal_to_paddle(kernels: Kernels) -> None:
    """Compare outputs and gradients.

    Raises:
        OneDnnError: a kernel is missing, fails or differs.
    """
    unit, random = _Unit(), np.random.default_rng(0)
    with paddle.no_grad():
        for parameter in unit.parameters():
            if not parameter.stop_gradient:
                parameter.set_value(random.standard_normal(parameter.shape).astype("float32"))
    data = paddle.to_tensor(random.standard_normal((2, 16, 9, 11)).astype("float32"), stop_gradient=False)
    convolved = _with_gradients(kernels.convolve(unit.conv, data), data, unit)
    _expect_close("convolution", convolved, _with_gradients(unit.conv(data), data, unit), kernels.compute)
    normed = _with_gradients(kernels.run_unit(unit, data), data, unit)
    _expect_close("normalisation", normed, _with_gradients(unit.norm(unit.conv(data)), data, unit), kernels.compute)
    kernels.cache.clear()


def _with_gradients(result: Tensor | None, data: Tensor, unit: _Unit) -> list[np.ndarray]:
    if result is None:
        raise OneDnnError("oneDNN has no kernels for it on this CPU")
    inputs = [data, unit.conv.weight, unit.norm.weight, unit.norm.bias]
    gradient = paddle.cos(paddle.arange(result.size, dtype="float32")).reshape(result.shape)
    gradients = paddle.grad(result, inputs, gradient, allow_unused=True)
    return [tensor.numpy() for tensor in (result, *gradients) if tensor is not None]


def _expect_close(what: str, found: list[np.ndarray], expected: list[np.ndarray], compute: int) -> None:
    limit = LIMITS[compute == FLOAT32]
    for one, other in zip(found, expected, strict=True):
        difference = float(np.linalg.norm(one - other) / np.linalg.norm(other))
        if not difference <= limit:
            raise OneDnnError(f"its {what} differs from Paddle's by {difference:.1e}, where {limit:.0e} is allowed")
