"""The names that other libraries give to the tensors of our networks: one file a family."""

from collections.abc import Mapping
from typing import Any

from ppresnet.errors import ConfigError
from ppresnet.models.names.convention import Convention, Names
from ppresnet.models.names.densenet import DENSENET
from ppresnet.models.names.lcnet import LCNET
from ppresnet.models.names.preact import PREACT
from ppresnet.models.names.resnet import RESNET
from ppresnet.models.names.vit import VIT
from ppresnet.weights import SOURCES

__all__ = ["NAMES", "SOURCES", "Convention", "convention_of"]

NAMES: Mapping[str, Names] = {"resnet": RESNET, "preact": PREACT, "vit": VIT, "densenet": DENSENET, "lcnet": LCNET}


def convention_of(spec: Any, source: str) -> Convention:
    """Return how a source names the tensors of the network of a spec.

    Raises:
        ConfigError: the source is unknown, or has no network of this family.
    """
    if source not in SOURCES:
        raise ConfigError(f"unknown weight source '{source}'; expected one of {', '.join(SOURCES)}")
    names = NAMES.get(spec.family, {})
    if source not in names:
        known = f"its weights come from {', '.join(names)}" if names else "no source has any"
        raise ConfigError(f"'{source}' publishes no {spec.family}; {known}")
    convention = names[source]
    return convention if isinstance(convention, Convention) else convention(spec)
