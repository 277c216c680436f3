"""Blocks of continuous depth: x plus the integral of a small network (Chen et al. 2018, arXiv:1806.07366)."""

from dataclasses import dataclass

import paddle
from paddle import Tensor, nn

from ppresnet.errors import ConfigError
from ppresnet.layers.adjoint import solve_with_adjoint
from ppresnet.layers.drop_path import DropPath
from ppresnet.layers.solvers import Derivative, State, integrate, integrate_adaptively
from ppresnet.layers.tableaux import TABLEAUX


@dataclass
class Evaluations:
    """How often the function of a block was evaluated in its last forward pass, and in the backward pass after it.

    Autograd goes back through what the forward pass kept and evaluates nothing.
    """

    forward: int = 0
    backward: int = 0


class ODEBlock(nn.Layer):
    """y(1) of dy/dt = f(t, y), y(0) = x: a residual block of continuous depth.

    Args:
        function: f(t, y), of the shape of y.
        solver: `euler`, `rk4`, or `dopri5`, which chooses its steps.
        steps: of `euler` and `rk4`.
        rtol: relative tolerance of `dopri5`.
        atol: absolute tolerance of `dopri5`.
        backward: `autograd` through the steps, or `adjoint`, whose memory does not grow with them.
        drop_path: probability of dropping the integral in training.

    Attributes:
        evaluations: of the function in the last pass.
    """

    END = 1.0

    def __init__(
        self,
        function: nn.Layer,
        solver: str,
        steps: int = 2,
        rtol: float = 1e-3,
        atol: float = 1e-3,
        backward: str = "autograd",
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.function = function
        self.solver, self.steps, self.rtol, self.atol, self.backward_by = solver, steps, rtol, atol, backward
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.evaluations = Evaluations()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the solution at the end, of the shape of the input.

        Raises:
            DivergedError: `dopri5` finds no finite solution, or needs too many steps.
        """
        self.evaluations = Evaluations()
        if self.backward_by == "adjoint" and paddle.in_dynamic_mode() and paddle.is_grad_enabled():
            trained = [parameter for parameter in self.function.parameters() if not parameter.stop_gradient]
            y_NCHW = solve_with_adjoint(x_NCHW, self._ahead, self._back, self._solve, self.END, trained)
        else:
            (y_NCHW,) = self._solve(self._slope, (x_NCHW,))
        if isinstance(self.drop_path, DropPath):
            return x_NCHW + self.drop_path(y_NCHW - x_NCHW)
        return y_NCHW

    def check_exportable(self) -> None:
        """Refuse a solver whose steps depend on the image, since a program has fixed ones.

        Raises:
            ConfigError: it is `dopri5`.
        """
        if TABLEAUX[self.solver].errors:
            raise ConfigError(
                f"the solver {self.solver} chooses its steps by the image, and an exported program has fixed ones; "
                "choose the solver rk4 or euler, which take the same weights (cifar_odenet for cifar_odenet_dopri5)"
            )

    def _solve(self, function: Derivative, state: State) -> State:
        tableau = TABLEAUX[self.solver]
        if tableau.errors:
            return integrate_adaptively(function, state, self.END, self.rtol, self.atol, tableau)
        return integrate(function, state, self.END, tableau, self.steps)

    def _slope(self, time: float, state: State) -> State:
        return (self._ahead(time, state[0]),)

    def _ahead(self, time: float, y_NCHW: Tensor) -> Tensor:
        self.evaluations.forward += 1
        return self.function(time, y_NCHW)

    def _back(self, time: float, y_NCHW: Tensor) -> Tensor:
        self.evaluations.backward += 1
        return self.function(time, y_NCHW)


def evaluations(model: nn.Layer) -> dict[str, Evaluations]:
    """Return how often the function of each block of continuous depth was evaluated last, by the block's name."""
    blocks = model.named_sublayers(include_self=True)
    return {name: block.evaluations for name, block in blocks if isinstance(block, ODEBlock)}
