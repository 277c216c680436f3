"""Writing a resolved recipe as YAML that loads back to an equal config."""

from __future__ import annotations

from typing import Any

import yaml

from ppresnet.config.augmentation import unfrozen
from ppresnet.config.schema import RunConfig
from ppresnet.config.yaml12 import CoreDumper


def to_dict(config: RunConfig) -> dict[str, Any]:
    """Return the config as dicts, lists and scalars, every default written out; `from_dict` takes it back."""
    return {key: unfrozen(value) for key, value in config.model_dump().items()}


def dump(config: RunConfig) -> str:
    """Return the config as YAML 1.2 with every default written out; `load` and `from_dict` take it back."""
    return yaml.dump(
        to_dict(config), Dumper=CoreDumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120
    )
