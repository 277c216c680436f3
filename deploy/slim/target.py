"""What a pruned network is to cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from deploy.slim.plan_file import Latency, Plan
from ppresnet.errors import CheckFailedError, RequestError
from ppresnet.models import cost
from ppresnet.spec import ModelSpec

if TYPE_CHECKING:
    from deploy.slim.latency import Stopwatch

Kind = Literal["macs", "params", "latency"]
TOLERANCE = 0.1  # of a latency, relative: what is measured again may be so far from the target


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
    latency: Stopwatch | None = None

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise RequestError(f"target {self.kind}: expected a share between 0 and 1, found {self.share}")
        if (self.kind == "latency") != (self.latency is not None):
            raise RequestError(f"target {self.kind}: a latency needs a backend to measure it on, and nothing else does")

    def of(self, spec: ModelSpec) -> float:
        """Return the cost of a network."""
        return float(getattr(cost(spec), self.kind)) if self.latency is None else self.latency(spec)

    def confirmed(self, plan: Plan, before: ModelSpec, after: ModelSpec, coarse: bool = False) -> Plan:
        """Return the plan; for a latency, with one that is measured anew and within 10 % of the target.

        Args:
            plan: from `before` to `after`.
            before: the network as it was.
            after: the network that results.
            coarse: what can be taken away is so much at a time that the network may be faster than asked for.

        Raises:
            CheckFailedError: the target is missed.
        """
        if self.latency is None:
            return plan
        found = self.latency.compare(before, after)
        if missed := self._missed(found, coarse):
            raise CheckFailedError(
                f"target latency: expected {self.share:.1%} of the time within {TOLERANCE:.0%}, measured "
                f"{describe(found)}; {missed}"
            )
        sizes = (("before", plan.before, found.before_ms), ("after", plan.after, found.after_ms))
        timed = {key: size.model_copy(update={"latency_ms": taken}) for key, size, taken in sizes}
        return plan.model_copy(update={**timed, "latency": found})

    def _missed(self, found: Latency, coarse: bool) -> str | None:
        if found.ratio > self.share * (1 + TOLERANCE):
            return "repeat it on a quieter machine or with more --rounds"
        if found.ratio < self.share * (1 - TOLERANCE) and not coarse:
            return "repeat it on a quieter machine or with more --rounds, or choose a smaller --round-to or --minimum"
        return None


def describe(found: Latency) -> str:
    """Return a latency for people."""
    return (
        f"{found.ratio:.1%} (95 % interval {found.low:.1%} to {found.high:.1%}): {found.before_ms:.2f} to "
        f"{found.after_ms:.2f} ms on {found.backend} {found.precision}, batch {found.batch}, {found.threads} "
        f"{'thread' if found.threads == 1 else 'threads'}, medians of {found.rounds} rounds, each the fastest of "
        f"{found.passes} {'pass' if found.passes == 1 else 'passes'} in turn"
    )
