"""What rounding does to a layer, against float64; which layers can be int8; which ranges oneDNN halves."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from deploy.inference.graph import Graph, Op
from deploy.slim.int8.layers import Rounding, layer_errors, refused, values_to_skip
from deploy.slim.int8.ranges import halved
from ppresnet.layers.std_conv import StdConv


class Net(nn.Layer):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2D(2, 3, 1, bias_attr=False)
        self.fc = nn.Linear(3, 4)

    def forward(self, x_NCHW: paddle.Tensor) -> paddle.Tensor:
        return self.fc(F.relu(self.conv(x_NCHW)).mean([2, 3]))


def test_errors_are_those_of_arithmetic_in_float64() -> None:
    paddle.seed(1)
    net, rng = Net(), np.random.default_rng(2)
    net.eval()
    images = rng.standard_normal((4, 2, 5, 5)).astype(np.float32)
    kernel = net.conv.weight.numpy()
    rounded = (kernel + rng.uniform(-0.1, 0.1, kernel.shape)).astype(np.float32)
    # A range below the largest value: what is above is cut off.
    found = layer_errors(net, {net.conv.weight.name: Rounding(1.5, rounded)}, [images[:3], images[3:]])
    assert [row.name for row in found] == ["conv", "fc"]
    x = images.astype(np.float64)
    x8 = np.clip(np.round(x / (1.5 / 127)), -127, 127) * (1.5 / 127)
    exact = np.einsum("nchw,oc->nohw", x, kernel[:, :, 0, 0].astype(np.float64))
    change = np.einsum("nchw,oc->nohw", x8, rounded[:, :, 0, 0].astype(np.float64)) - exact
    assert found[0].error == pytest.approx(np.linalg.norm(change) / np.linalg.norm(exact), rel=1e-4)
    assert found[0].rel_diff == pytest.approx(np.abs(change).max() / np.abs(exact).max(), rel=1e-4)
    assert (found[1].error, found[1].int8) == (None, False)
    assert np.array_equal(net.conv.weight.numpy(), kernel), "the network must be as it was"


def test_the_worst_comes_first() -> None:
    net = Net()
    near, far = net.fc.weight.numpy() * 1.001, net.conv.weight.numpy() * 1.5
    rounded = {net.fc.weight.name: Rounding(50.0, near), net.conv.weight.name: Rounding(50.0, far)}
    found = layer_errors(net, rounded, [np.ones((1, 2, 3, 3), np.float32)])
    assert [row.name for row in found] == ["conv", "fc"]
    assert found[0].error is not None and found[0].error > 0.4


def test_computed_kernels_are_named_with_the_reason() -> None:
    net = nn.Sequential(nn.Conv2D(2, 3, 1), StdConv(3, 3, 3))
    assert list(refused(net)) == ["1"]
    assert "computed" in refused(net)["1"]


def test_products_of_activations_stay_in_float() -> None:
    ops = (
        Op("feed", ("feed",), ("x",)),
        Op("conv2d", ("w", "x"), ("a",), filter="w"),
        Op("scale", ("v",), ("computed",)),
        Op("conv2d", ("computed", "a"), ("b",), filter="computed"),
        Op("matmul_v2", ("a", "b"), ("c",)),
        Op("matmul_v2", ("c", "m"), ("d",)),
    )
    assert values_to_skip(Graph(ops, {"w": "w", "m": "m", "v": "v"})) == ("computed", "a", "b")


def residual(first: str, second: str, last: str = "relu") -> Graph:
    """`last` of the sum of two values made by the operators `first` and `second`, each quantised."""
    ops = [Op("feed", ("feed",), ("x",)), Op(first, ("x",), ("a",)), Op(second, ("x",), ("b",))]
    for name in "ab":
        ops.append(Op("quantize_linear", (f"{name}@scale", name, "zero"), (f"{name}q",)))
        ops.append(Op("dequantize_linear", (f"{name}@scale", f"{name}q", "zero"), (f"{name}d",)))
    ops += [Op("add", ("ad", "bd"), ("sum",)), Op(last, ("sum",), ("out",))]
    ops.append(Op("quantize_linear", ("out@scale", "out", "zero"), ("outq",)))
    return Graph(tuple(ops), {"zero": "zero"})


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (residual("batch_norm", "batch_norm"), ("out@scale",)),
        (residual("relu", "batch_norm"), ()),
        (residual("batch_norm", "relu"), ()),
        (residual("batch_norm", "batch_norm", "swish"), ()),
    ],
)
def test_only_sums_of_signed_values_are_halved(graph: Graph, expected: tuple[str, ...]) -> None:
    assert halved(graph) == expected
