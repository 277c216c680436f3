"""What a pruned network is to cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ppresnet.errors import RequestError
from ppresnet.models import cost
from ppresnet.spec import ModelSpec

Kind = Literal["macs", "params", "latency"]
Latency = Callable[[ModelSpec], float]


@dataclass(frozen=True)
class Target:
    """What the network is to cost, as a share of what it costs.

    Attributes:
        kind: of cost.
        share: in (0, 1).
        latency: gives the milliseconds of a network of a spec; needed for `latency`.
    """

    kind: Kind
    share: float
    latency: Latency | None = None

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise RequestError(f"target {self.kind}: expected a share between 0 and 1, found {self.share}")

    def of(self, spec: ModelSpec) -> float:
        """Return the cost of a network."""
        if self.kind == "latency":
            if self.latency is None:
                raise RequestError("target latency: nothing measures it; name a backend")
            return self.latency(spec)
        return float(getattr(cost(spec), self.kind))
