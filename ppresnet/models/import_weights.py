"""Foreign weights into a network of ours, every tensor accounted for."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import paddle
from paddle import nn

from ppresnet.errors import ConfigError

Rule = tuple[str, str | Callable[[re.Match[str]], str]]


def _plus_one(prefix: str) -> Callable[[re.Match[str]], str]:
    return lambda match: f"{prefix}{int(match[1]) + 1}."


# From our names to theirs: every rule is applied in turn to each name of our state dict.
_RESNET: tuple[Rule, ...] = (
    (r"^stem\.(?:conv\.)?norm\.", "bn1."),
    (r"^stem\.(?:conv\.)?conv\.", "conv1."),
    (r"^stages\.(\d+)\.", _plus_one("layer")),
    (r"branch\.(\d+)\.conv\.", _plus_one("conv")),
    (r"branch\.(\d+)\.norm\.", _plus_one("bn")),
    (r"skip\.project\.conv\.", "downsample.0."),
    (r"skip\.project\.norm\.", "downsample.1."),
    (r"^head\.fc\.", "fc."),
)
_TORCH_BUFFERS: tuple[Rule, ...] = ((r"\._mean$", ".running_mean"), (r"\._variance$", ".running_var"))


@dataclass(frozen=True)
class _Convention:
    rules: tuple[Rule, ...]
    linear_is_transposed: bool
    ignored: str = r"$^"


_SOURCES: Mapping[str, _Convention] = {
    "torchvision": _Convention(_RESNET + _TORCH_BUFFERS, linear_is_transposed=True, ignored=r"\.num_batches_tracked$"),
    "paddle_vision": _Convention(_RESNET, linear_is_transposed=False),
}


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
        source: whose names they are: `torchvision` or `paddle_vision`.

    Raises:
        ConfigError: the source is unknown, a tensor is missing or left over, or a shape differs (both are named).
    """
    if source not in _SOURCES:
        raise ConfigError(f"unknown weight source '{source}'; expected one of {', '.join(_SOURCES)}")
    convention = _SOURCES[source]
    linear = {f"{name}.weight" for name, layer in model.named_sublayers() if isinstance(layer, nn.Linear)}
    loaded: dict[str, np.ndarray] = {}
    pairs: list[tuple[str, str]] = []
    problems: list[str] = []
    for ours, tensor in model.state_dict().items():
        theirs = _rename(ours, convention.rules)
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


def _rename(name: str, rules: tuple[Rule, ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
