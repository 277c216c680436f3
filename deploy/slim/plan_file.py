"""The plan: what stays, for which weights, and why; plain JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import final_weights, weights_sha
from ppresnet.errors import RequestError
from ppresnet.files import atomic_write


class KeptUnits(BaseModel):
    """What stays of a group."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    units: int = Field(ge=1)
    """How many the group has before the cut."""
    keep: tuple[int, ...] = Field(min_length=1)
    """Those that stay, ascending."""
    trunk: bool = False


class Size(BaseModel):
    """Cost of a network, and the value that the plan aimed at, where it is another one (such as milliseconds)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    params: int
    macs: int
    latency_ms: float | None = None


class Latency(BaseModel):
    """How long two networks take in turn: medians over rounds in milliseconds, and the median of the rounds' ratios."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    precision: str
    threads: int
    batch: int
    rounds: int
    passes: int
    """Timed passes of each network in a round; the fastest counts."""
    before_ms: float
    after_ms: float
    ratio: float
    """Time after over time before."""
    low: float
    """Lower end of the ratio's 95 % interval."""
    high: float
    """Upper end of it."""


class Plan(BaseModel):
    """What stays of one checkpoint's network.

    Attributes:
        schema_version: of this form.
        weights: sha256 of the weights that the plan was made from; no others can be cut by it.
        groups: by name, those that lose units.
        drop: residual blocks that go as a whole, by name.
        before: the network as it was.
        after: the network that results.
        latency: of both, where that is the target.
        options: how the plan was made.
        frozen: groups that cannot be cut, each with the reason.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    weights: str
    groups: dict[str, KeptUnits] = {}
    drop: tuple[str, ...] = ()
    before: Size
    after: Size
    latency: Latency | None = None
    options: dict[str, Any] = {}
    frozen: dict[str, str] = {}

    @property
    def keep(self) -> dict[str, tuple[int, ...]]:
        """Units that stay, by the name of each group that loses some."""
        return {name: group.keep for name, group in self.groups.items()}

    def dump(self) -> str:
        """Return the plan as JSON text."""
        return self.model_dump_json(indent=1) + "\n"

    def write(self, path: Path) -> None:
        """Write the plan.

        Raises:
            StorageError: it could not be written.
        """
        atomic_write(path, self.dump())


def read_plan(path: Path) -> Plan:
    """Return the plan in a file.

    Raises:
        RequestError: there is none, or it is no plan.
    """
    try:
        return Plan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error}; deploy/slim/plan.py writes plans") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RequestError(f"{path} is no plan: {place}: {first['msg']}; make it with deploy/slim/plan.py") from error


def expect_weights(plan: Plan, checkpoint: Checkpoint) -> None:
    """Check that a plan was made from these weights.

    Raises:
        RequestError: it was made from others.
    """
    found = weights_sha(final_weights(checkpoint))
    if found != plan.weights:
        raise RequestError(
            f"the plan was made from the weights {plan.weights[:12]}, the checkpoint has {found[:12]}; "
            "make a plan from this checkpoint, since scores of other weights say nothing about it"
        )
