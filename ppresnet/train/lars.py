"""LARS with a weight decay for each parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paddle import Tensor
from paddle.incubate.optimizer import LarsMomentumOptimizer


class Lars(LarsMomentumOptimizer):
    """Paddle's LARS (You, Gitman and Ginsburg 2017, arXiv:1708.03888), the same in 2.6 and 3.3.

    It knows no groups of parameters, so each brings its factor of the learning rate and its decay along. The local rate
    trust * norm(w) / (norm(g) + decay * norm(w) + epsilon) holds for decayed parameters; the others move as in sgd.

    Args:
        parameters: to optimise.
        factors: of the learning rate, by automatic name.
        decays: weight decay, by automatic name.
        options: of Paddle's class.
    """

    def __init__(
        self, parameters: Sequence[Tensor], factors: Mapping[str, float], decays: Mapping[str, float], **options: Any
    ) -> None:
        super().__init__(parameter_list=list(parameters), **options)
        self._decays = dict(decays)
        for parameter in parameters:
            parameter.optimize_attr["learning_rate"] = factors[parameter.name]

    def _append_optimize_op(self, block: Any, param_and_grad: Any) -> Any:
        self._lars_weight_decay = self._decays[param_and_grad[0].name]
        return super()._append_optimize_op(block, param_and_grad)
