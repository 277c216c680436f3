"""How fast each parameter learns and how strongly it is decayed: layer-wise decay and the rules of a recipe."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from paddle import Tensor, nn

from ppresnet.config import GroupRule, OptimConfig
from ppresnet.errors import ConfigError, did_you_mean


class Pace(NamedTuple):
    """The factor of the learning rate of a parameter, and its weight decay."""

    factor: float
    decay: float


def paces(config: OptimConfig, model: nn.Layer) -> dict[str, Pace]:
    """Return the pace of every parameter that is trained, by its name; kernels alone are decayed.

    With `layer_decay` below 1, each stage learns so much slower than the one after it; then the rules follow.

    Raises:
        ConfigError: a rule matches no parameter that is trained.
    """
    factors = layer_factors(model, config.layer_decay)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.trainable}
    _expect_matches(config.groups, trained, factors)
    found = {}
    for name, parameter in trained.items():
        rule = next((rule for rule in reversed(config.groups) if matches(rule.match, name)), GroupRule(match="*"))
        kernel = parameter.ndim > 1 and name.endswith("weight")  # no bias, scale, token or position
        decay = config.weight_decay * (1.0 if rule.weight_decay is None else rule.weight_decay) if kernel else 0.0
        found[name] = Pace(factors[name] * rule.lr, decay)
    return found


def matches(pattern: str, name: str) -> bool:
    """Return whether a name starts with the parts of a pattern, or is as it says with `*`, `?` and `[...]`."""
    return name == pattern or name.startswith(f"{pattern}.") or fnmatchcase(name, pattern)


def layer_factors(model: nn.Layer, decay: float) -> dict[str, float]:
    """Return the factor of the learning rate of every parameter, 1 for the last layers (arXiv:2106.08254, section 3).

    The parts of a network count in their order: each stage of a sequence by itself, everything else by its first name.

    Args:
        model: the network.
        decay: factor from each part to the one before it.
    """
    parts: dict[str, str] = {}
    for name, _ in model.named_parameters():
        found = re.match(r"\w+\.\d+|\w+", name)
        parts[name] = found[0] if found else name
    order = list(dict.fromkeys(parts.values()))
    return {name: decay ** (len(order) - 1 - order.index(part)) for name, part in parts.items()}


def _expect_matches(rules: Iterable[GroupRule], trained: Mapping[str, Tensor], every: Iterable[str]) -> None:
    problems = []
    for index, rule in enumerate(rules):
        if any(matches(rule.match, name) for name in trained):
            continue
        frozen = next((name for name in every if matches(rule.match, name)), None)
        if frozen is not None:
            found = f"matches only parameters that are not trained, such as '{frozen}'; see finetune"
        else:
            found = f"matches no parameter{_near(rule.match, trained)}"
        problems.append(f"'optim.groups[{index}].match': '{rule.match}' {found}")
    if problems:
        raise ConfigError(*problems)


def _near(pattern: str, names: Iterable[str]) -> str:
    """Return what may have been meant: a name or the first parts of one."""
    known = list(dict.fromkeys(part for name in names for part in _beginnings(name)))
    tops = dict.fromkeys(name.split(".")[0] for name in known)
    return did_you_mean(pattern.strip("*."), known) or f"; the names start with {', '.join(tops)}"


def _beginnings(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))
