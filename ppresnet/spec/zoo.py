"""The names in the zoo, and the specs behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from ppresnet.errors import ConfigError, did_you_mean
from ppresnet.spec.base import ModelSpec
from ppresnet.spec.densenet import DENSENETS, DenseNetSpec
from ppresnet.spec.gated import GATED, GatedSpec
from ppresnet.spec.lcnet import LCNETS, LCNetSpec
from ppresnet.spec.ode import ODES, ODENetSpec
from ppresnet.spec.preact import PREACTS, PreActSpec
from ppresnet.spec.resnet import RESNETS, ResNetSpec
from ppresnet.spec.vit import VITS, ViTSpec

MODELS: Mapping[str, Callable[..., ModelSpec]] = {**RESNETS, **PREACTS, **VITS, **GATED, **ODES, **DENSENETS, **LCNETS}

FAMILIES: Mapping[str, type[ModelSpec]] = {
    "resnet": ResNetSpec,
    "preact": PreActSpec,
    "vit": ViTSpec,
    "gated": GatedSpec,
    "ode": ODENetSpec,
    "densenet": DenseNetSpec,
    "lcnet": LCNetSpec,
}

OVERRIDES = tuple(field for field in ModelSpec.model_fields if field not in ("name", "family"))


def spec_of(name: str, **overrides: Any) -> ModelSpec:
    """Return the spec of a named model.

    Args:
        name: a key of `MODELS`.
        **overrides: fields of `ModelSpec` other than name and family, such as `num_classes=10`.

    Raises:
        ConfigError: the name or a field is unknown, or a value is out of its range.
    """
    if name not in MODELS:
        raise ConfigError(f"unknown model '{name}'{did_you_mean(name, MODELS)}; tools/zoo.py lists every model")
    problems = [
        f"unknown model field '{key}'{did_you_mean(key, OVERRIDES)}" for key in overrides if key not in OVERRIDES
    ]
    if problems:
        raise ConfigError(*problems)
    try:
        return MODELS[name](name, **overrides)
    except ValidationError as error:
        raise ConfigError(*_sentences(error)) from error


def spec_from_dict(fields: Mapping[str, Any]) -> ModelSpec:
    """Return the spec that `spec.model_dump(mode="json")` gave.

    Raises:
        ConfigError: the family is unknown or a field is wrong.
    """
    family = str(fields.get("family"))
    if family not in FAMILIES:
        raise ConfigError(f"unknown model family '{family}'; expected one of {', '.join(FAMILIES)}")
    try:
        return FAMILIES[family].model_validate(fields)
    except ValidationError as error:
        raise ConfigError(*_sentences(error)) from error


def _sentences(error: ValidationError) -> list[str]:
    return [
        f"model.{'.'.join(str(part) for part in item['loc'])}: {item['msg']}, found {item['input']!r}"
        for item in error.errors()
    ]
