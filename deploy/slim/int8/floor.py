"""How many of the worst layers have to stay in float for an accuracy floor: pure, the work is handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ppresnet.errors import CheckFailedError

Attempt = TypeVar("Attempt")


def hold_floor(
    attempt: Callable[[tuple[str, ...]], Attempt],
    problem: Callable[[Attempt], str],
    ranking: Callable[[Attempt], Sequence[str]],
    most: int,
    first: Sequence[str] = (),
) -> tuple[Attempt, tuple[str, ...]]:
    """Return the first attempt without a problem and the layers it keeps in float: none, 1, 2, 4, ... of the worst.

    Args:
        attempt: quantises all layers but those named.
        problem: says what is wrong with an attempt, '' where nothing is.
        ranking: gives the int8 layers of the first attempt, worst first.
        most: how many may stay in float.
        first: layers that stay in float from the start.

    Raises:
        CheckFailedError: the problem is still there with `most` layers in float.
    """
    kept = tuple(first)
    made = attempt(kept)
    if not (wrong := problem(made)):
        return made, kept
    tried = [f"{len(kept)} in float: {wrong}"]
    order = [name for name in ranking(made) if name not in kept]
    limit = max(most - len(kept), 0)
    for count in _growing(min(limit, len(order))):
        made = attempt((*first, *order[:count]))
        if not (wrong := problem(made)):
            return made, (*first, *order[:count])
        tried.append(f"{len(kept) + count} in float: {wrong}")
    raise CheckFailedError(
        f"the floor cannot be held with at most {most} layers in float; more calibration images, --method qat or a "
        "larger --floor may help:\n" + "\n".join(tried)
    )


def _growing(limit: int) -> list[int]:
    counts = []
    count = 1
    while count < limit:
        counts.append(count)
        count *= 2
    return [*counts, limit] if limit else counts
