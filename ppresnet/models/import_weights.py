"""Foreign weights into a network of ours, every tensor accounted for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import paddle
from paddle import nn

from ppresnet.errors import ConfigError
from ppresnet.models.names import NAMES, SOURCES


@dataclass(frozen=True)
class ImportReport:
    """What became of each foreign tensor: `mapped` pairs (their name, our name); `unmapped` were left out by rule."""

    mapped: tuple[tuple[str, str], ...]
    unmapped: tuple[str, ...]


def import_weights(model: nn.Layer, state: Mapping[str, np.ndarray], source: str) -> ImportReport:
    """Load the tensors of another library's state dict into a network; on any error the network is left as it was.

    Args:
        model: a network of `create`.
        state: the foreign names and arrays.
        source: whose names they are: one of `ppresnet.models.names.SOURCES`.

    Raises:
        ConfigError: the source is unknown or has no such network, a tensor is missing or left over, or a shape differs
            (both are named).
    """
    if source not in SOURCES:
        raise ConfigError(f"unknown weight source '{source}'; expected one of {', '.join(SOURCES)}")
    names = NAMES[model.spec.family]
    if source not in names:
        raise ConfigError(f"'{source}' publishes no {model.spec.family}; its weights come from {', '.join(names)}")
    convention = names[source]
    linear = {f"{name}.weight" for name, layer in model.named_sublayers() if isinstance(layer, nn.Linear)}
    loaded: dict[str, np.ndarray] = {}
    pairs: list[tuple[str, str]] = []
    problems: list[str] = []
    for ours, tensor in model.state_dict().items():
        theirs = convention.theirs(ours)
        if theirs not in state:
            problems.append(f"missing tensor '{theirs}' (for '{ours}' {list(tensor.shape)})")
            continue
        array = np.asarray(state[theirs])
        if ours in linear and convention.linear_is_transposed:
            array = array.T
        if list(array.shape) != list(tensor.shape):
            problems.append(
                f"'{theirs}' has shape {list(array.shape)}; '{ours}' of the model needs {list(tensor.shape)}"
            )
        loaded[ours] = array
        pairs.append((theirs, ours))
    left = sorted(set(state) - {theirs for theirs, _ in pairs})
    unmapped = tuple(name for name in left if re.search(convention.ignored, name))
    problems += [f"unexpected tensor '{name}' {list(state[name].shape)}" for name in left if name not in unmapped]
    if problems:
        raise ConfigError(*problems)
    model.set_state_dict({name: paddle.to_tensor(array) for name, array in loaded.items()})
    return ImportReport(tuple(pairs), unmapped)
