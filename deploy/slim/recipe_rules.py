"""What must hold between the keys of a slim recipe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from deploy.slim.command import JOINT, PADDLESLIM_RULES, UNSCORED, USUAL_AGGREGATE
from ppresnet.config.rules import Conflict

if TYPE_CHECKING:
    from deploy.slim.recipe_keys import SlimConfig, TargetConfig


def expect_one(target: TargetConfig) -> TargetConfig:
    """Return the target when it names one cost.

    Raises:
        PydanticCustomError: it names none or several.
    """
    given = [kind for kind, share in target if share is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        text = f"expected one of macs, params and latency, found {found}; one that is null does not count"
        raise PydanticCustomError("wrong", "{text}", {"text": text})
    return target


def conflicts(config: SlimConfig) -> Iterator[Conflict]:
    """Yield everything in a recipe that is well-formed and still cannot be done."""
    yield from _blocks(config)
    yield from _trunk(config)
    scored = config.importance
    if scored.score in JOINT and scored.aggregate != USUAL_AGGREGATE:
        text = f"expected {USUAL_AGGREGATE} because importance.score is {scored.score}, found {scored.aggregate}"
        yield Conflict(("importance", "aggregate"), scored.aggregate, text)
    if config.engine != "paddleslim":
        return
    for section, key, found, able in (
        ("importance", "score", config.importance.score, PADDLESLIM_RULES),
        ("importance", "aggregate", config.importance.aggregate, ("flow", "first")),
        ("allocation", "name", config.allocation.name, UNSCORED),
    ):
        if found not in able:
            text = f"expected {' or '.join(able)} because engine is paddleslim, found {found}"
            yield Conflict((section, key), found, text)


def _trunk(config: SlimConfig) -> Iterator[Conflict]:
    groups = config.allocation
    if groups.trunk_share != 1.0 and groups.name not in UNSCORED and not groups.blocks:
        able = " or ".join(UNSCORED)
        text = f"expected 1.0 because allocation.name is {groups.name}, and only {able} read it, found "
        yield Conflict(("allocation", "trunk_share"), groups.trunk_share, f"{text}{groups.trunk_share}")


def _blocks(config: SlimConfig) -> Iterator[Conflict]:
    groups = config.allocation
    if not groups.blocks:
        return
    if config.engine == "paddleslim":
        text = "expected false because engine is paddleslim, which knows channels only, found true"
        yield Conflict(("allocation", "blocks"), True, text)
    for key, usual in type(groups)():
        found = getattr(groups, key)
        if key != "blocks" and found != usual:
            text = f"expected its default because allocation.blocks is true and no channels go, found {found}"
            yield Conflict(("allocation", key), found, text)
    if config.round_to != 1:
        text = f"expected 1 because allocation.blocks is true and no channels go, found {config.round_to}"
        yield Conflict(("round_to",), config.round_to, text)
