"""Networks with blocks of continuous depth, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ppresnet.errors import ConfigError
from ppresnet.spec.base import Frozen, ModelSpec, Norm, Width


class FixedStepsSpec(Frozen):
    """A solver with steps of equal length, which can be exported."""

    kind: Literal["euler", "rk4"] = "rk4"
    steps: int = Field(default=2, ge=1)


class AdaptiveSpec(Frozen):
    """A solver that chooses its steps by the image so that the error of each stays below atol + rtol * |state|."""

    kind: Literal["dopri5"] = "dopri5"
    rtol: float = Field(default=1e-3, gt=0.0)
    atol: float = Field(default=1e-3, gt=0.0)


SolverSpec = Annotated[FixedStepsSpec | AdaptiveSpec, Field(discriminator="kind")]


class EntrySpec(Frozen):
    """The ordinary basic block at the start of a stage, which changes the shape."""

    widths: tuple[Width, Width]
    skip: Literal["identity", "projection", "zero_pad"]
    stride: int = Field(default=1, ge=1)


class ODEStageSpec(Frozen):
    """An entry, where there is one, and one block of continuous depth; `hidden` is the inner width of its function."""

    hidden: int = Field(ge=1)
    entry: EntrySpec | None = None


class ODENetSpec(ModelSpec):
    """A network for small images whose stages integrate an ODE (Chen et al. 2018, arXiv:1806.07366)."""

    family: Literal["ode"] = "ode"
    norm: Norm = "group"
    stem: int = Field(ge=1)
    stages: tuple[ODEStageSpec, ...] = Field(min_length=1)
    solver: SolverSpec
    backward: Literal["autograd", "adjoint"] = "autograd"

    @model_validator(mode="after")
    def _is_a_function_of_its_input(self) -> ODENetSpec:
        if self.norm in ("batch", "sync_batch"):
            raise ConfigError(
                f"model.norm: {self.name} integrates a function of one image, and BatchNorm makes it depend on the "
                f"batch and on how often it is evaluated; expected group or layer, found {self.norm}"
            )
        return self


def cifar_ode(
    name: str,
    solver: FixedStepsSpec | AdaptiveSpec,
    backward: Literal["autograd", "adjoint"] = "autograd",
    **overrides: Any,
) -> ODENetSpec:
    """Return stages of 16/32/64 channels with one ODE each; option-A basic blocks halve the size between them.

    Args:
        name: the name in the zoo.
        solver: of every ODE.
        backward: `autograd` through the steps, or the `adjoint` method.
        **overrides: fields of `ModelSpec`.
    """
    stages = [ODEStageSpec(hidden=16)]
    for width in (32, 64):
        entry = EntrySpec(widths=(width, width), skip="zero_pad", stride=2)
        stages.append(ODEStageSpec(hidden=width, entry=entry))
    fields: dict[str, Any] = {"num_classes": 10, "input_size": 32} | overrides
    return ODENetSpec(name=name, stem=16, stages=tuple(stages), solver=solver, backward=backward, **fields)


ODES: Mapping[str, Callable[..., ModelSpec]] = {
    "cifar_odenet": partial(cifar_ode, solver=FixedStepsSpec()),
    "cifar_odenet_dopri5": partial(cifar_ode, solver=AdaptiveSpec(), backward="adjoint"),
}
