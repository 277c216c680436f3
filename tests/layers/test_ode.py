"""Blocks of continuous depth: both kinds of backward pass, what they cost, and what can be exported."""

import gc

import numpy as np
import paddle
import pytest
from paddle import Tensor, nn
from relative import difference, largest_difference

from ppresnet.errors import ConfigError
from ppresnet.layers import drop_path
from ppresnet.layers.ode import Evaluations, ODEBlock, evaluations
from ppresnet.layers.ode_function import ODEFunction, TimeConv

FINE = {"rk4": {"steps": 16}, "dopri5": {"rtol": 1e-8, "atol": 1e-8}}


def _gradients(solver: str, backward: str, **numbers: float) -> tuple[list[np.ndarray], ODEBlock]:
    """Return output and gradients of a small smooth block in float64."""
    paddle.set_default_dtype("float64")
    try:
        paddle.seed(0)
        block = ODEBlock(ODEFunction(4, 6, "gelu", "group"), solver, backward=backward, **numbers)
    finally:
        paddle.set_default_dtype("float32")
    x = paddle.to_tensor(np.random.default_rng(0).standard_normal((2, 4, 3, 3)))
    x.stop_gradient = False
    y = block(x)
    (y**2 * paddle.arange(9, dtype="float64").reshape([3, 3])).sum().backward()
    return [y.numpy(), x.grad.numpy(), *(parameter.grad.numpy() for parameter in block.parameters())], block


@pytest.mark.parametrize("solver", ["rk4", "dopri5"])
def test_adjoint_and_autograd_agree(solver: str) -> None:
    through, _ = _gradients(solver, "autograd", **FINE[solver])
    around, _ = _gradients(solver, "adjoint", **FINE[solver])
    assert len(through) == 2 + 12
    np.testing.assert_array_equal(around[0], through[0])
    assert all(np.abs(gradient).max() > 0 for gradient in through)
    assert largest_difference(around, through) <= 1e-4


def test_the_adjoint_of_coarse_steps_is_off_by_the_solver_s_error_and_improves_with_its_order() -> None:
    apart = []
    for steps in (2, 4, 8):
        through, _ = _gradients("rk4", "autograd", steps=steps)
        around, _ = _gradients("rk4", "adjoint", steps=steps)
        apart.append(largest_difference(around[1:], through[1:]))
    assert apart[0] / apart[1] > 6 and apart[1] / apart[2] > 6


def test_the_solvers_solve_the_same_equation() -> None:
    exact = _gradients("dopri5", "autograd", rtol=1e-10, atol=1e-10)[0][0]
    assert difference(_gradients("rk4", "autograd", steps=16)[0][0], exact) < 1e-5
    assert difference(_gradients("dopri5", "autograd", rtol=1e-5, atol=1e-5)[0][0], exact) < 1e-4
    assert 1e-5 < difference(_gradients("euler", "autograd", steps=200)[0][0], exact) < 1e-2


class Counted(nn.Layer):
    """A linear slope that counts its own calls."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = self.create_parameter([3, 3])
        self.calls = 0

    def forward(self, time: float, y: Tensor) -> Tensor:
        self.calls += 1
        return (1.0 + time) * paddle.matmul(y, self.matrix)


@pytest.mark.parametrize(("solver", "steps", "expected"), [("euler", 5, 5), ("rk4", 3, 12), ("dopri5", 1, None)])
@pytest.mark.parametrize("backward", ["autograd", "adjoint"])
def test_evaluations_are_counted(solver: str, steps: int, expected: int | None, backward: str) -> None:
    function = Counted()
    block = nn.Sequential(ODEBlock(function, solver, steps, backward=backward))
    x = paddle.randn([4, 3])
    x.stop_gradient = False
    y = block(x)
    ahead = function.calls
    assert evaluations(block) == {"0": Evaluations(ahead, 0)}
    assert ahead == expected if expected else ahead >= 8
    y.sum().backward()
    assert evaluations(block) == {"0": Evaluations(ahead, function.calls - ahead)}
    assert (function.calls > ahead) is (backward == "adjoint")


def test_frozen_parts_get_no_gradient() -> None:
    function = ODEFunction(4, 4, "relu", "group")
    function.conv1.conv.weight.stop_gradient = True
    block = ODEBlock(function, "rk4", backward="adjoint")
    block(paddle.randn([1, 4, 3, 3])).sum().backward()
    assert function.conv1.conv.weight.grad is None
    assert np.abs(function.conv2.conv.weight.grad.numpy()).max() > 0


def _kept_and_peak(backward: str, steps: int) -> tuple[int, int]:
    core = paddle.base.core
    block = ODEBlock(ODEFunction(8, 8, "relu", "group"), "rk4", steps, backward=backward)
    x = paddle.randn([4, 8, 16, 16])
    x.stop_gradient = False
    gc.collect()
    core.host_memory_stat_reset_peak_value("Allocated", 0)
    before = core.host_memory_stat_current_value("Allocated", 0)
    y = block(x)
    kept = core.host_memory_stat_current_value("Allocated", 0) - before
    y.sum().backward()
    return kept, core.host_memory_stat_peak_value("Allocated", 0) - before


@pytest.mark.skipif(
    not hasattr(paddle.base.core, "host_memory_stat_reset_peak_value"), reason="this Paddle does not count host memory"
)
def test_the_memory_of_the_adjoint_does_not_grow_with_the_steps() -> None:
    few, many = _kept_and_peak("adjoint", 2), _kept_and_peak("adjoint", 16)
    assert few == many
    assert _kept_and_peak("autograd", 16)[1] > 10 * many[1]


def test_time_moves_the_bias() -> None:
    layer = TimeConv(2, 3)
    x = paddle.randn([1, 2, 4, 4])
    moved = (layer(x, 0.75) - layer(x, 0.25)).numpy()
    np.testing.assert_allclose(moved, np.broadcast_to(0.5 * layer.slope.numpy(), moved.shape), atol=1e-6)


def test_a_dropped_integral_leaves_the_input() -> None:
    paddle.seed(0)
    block = ODEBlock(Counted(), "euler", 2, drop_path=0.5)
    assert isinstance(block.drop_path, drop_path.DropPath)
    x = paddle.ones([64, 3])
    unchanged = (np.abs((block(x) - x).numpy()).max(axis=1) == 0).mean()
    assert 0.3 < unchanged < 0.7


@pytest.mark.parametrize("solver", ["euler", "rk4"])
def test_fixed_steps_can_be_exported(solver: str) -> None:
    block, x = ODEBlock(Counted(), solver), paddle.randn([5, 3])
    block.check_exportable()
    block.eval()
    expected = block(x).numpy()
    program = paddle.jit.to_static(block, [paddle.static.InputSpec([None, 3])], full_graph=True)
    assert np.abs(expected - x.numpy()).max() > 0
    np.testing.assert_allclose(program(x).numpy(), expected, rtol=1e-6)


def test_adaptive_steps_cannot_be_exported() -> None:
    with pytest.raises(ConfigError, match=r"dopri5 .*choose the solver rk4 or euler"):
        ODEBlock(Counted(), "dopri5").check_exportable()
