"""The adjoint method: gradients of an ODE's solution without its steps in memory (Chen et al. 2018, algorithm 1)."""

from collections.abc import Callable, Sequence
from typing import Any

import paddle
from paddle import Tensor
from paddle.autograd import PyLayer

from ppresnet.layers.solvers import Derivative, State

Solver = Callable[[Derivative, State], State]
Function = Callable[[float, Tensor], Tensor]


def solve_with_adjoint(
    x: Tensor, forward: Function, backward: Function, solver: Solver, end: float, parameters: Sequence[Tensor]
) -> Tensor:
    """Return y(end) of dy/dt = f(t, y) from y(0) = x, with gradients for x and the parameters.

    Nothing but y(end) is kept. The backward pass solves for the state, for its gradient and for those of the parameters
    back to time 0, so that memory does not grow with the steps; gradients are exact up to the error of the solver.

    Args:
        x: y(0).
        forward: f, as the forward pass calls it.
        backward: f, as the backward pass calls it.
        solver: from f and y(0) to y(end).
        end: time.
        parameters: what f depends on and gradients are wanted of.
    """
    return _Adjoint.apply(x, (forward, backward, solver, end, tuple(parameters)), *parameters)


class _Adjoint(PyLayer):
    @staticmethod
    def forward(ctx: Any, x: Tensor, problem: tuple[Any, ...], *parameters: Tensor) -> Tensor:
        function, _, solver, _, _ = problem
        with paddle.no_grad():
            (y,) = solver(lambda time, state: (function(time, state[0]),), (x,))
        ctx.problem, ctx.wants_x = problem, not x.stop_gradient
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (y,) = ctx.saved_tensor()
        _, function, solver, end, parameters = ctx.problem

        def back(elapsed: float, state: State) -> State:
            # In time that runs backwards, so that solvers know one direction.
            return _derivatives(function, end - elapsed, state, parameters)

        start = (y.detach(), gradient, *(paddle.zeros_like(parameter) for parameter in parameters))
        with paddle.no_grad():
            _, gradient_x, *gradients = solver(back, start)
        return (gradient_x if ctx.wants_x else None, *gradients)


def _derivatives(function: Function, time: float, state: State, parameters: tuple[Tensor, ...]) -> State:
    """Return -f, and the products of the gradient with df/dy and df/d(parameter)."""
    with paddle.enable_grad():
        y = state[0].detach()
        y.stop_gradient = False
        slope = function(time, y)
        wanted = [y, *parameters]
        products = paddle.grad([slope], wanted, grad_outputs=[state[1]], allow_unused=True)
    found = (
        paddle.zeros_like(one) if product is None else product.detach()
        for one, product in zip(wanted, products, strict=True)
    )
    return (-slope.detach(), *found)
