"""From a network with BatchNorm to the same network with GroupNorm, for batches too small for statistics."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from paddle import nn

from ppresnet.errors import ConfigError
from ppresnet.models.create import build
from ppresnet.spec import ModelSpec

_STATISTICS = ("._mean", "._variance")


@dataclass(frozen=True)
class GroupNormWeights:
    """The same architecture with `norm: group`, its weights by structured name, and a note on what was lost."""

    spec: ModelSpec
    weights: Mapping[str, np.ndarray]
    note: str


def to_group_norm(spec: ModelSpec, weights: Mapping[str, np.ndarray]) -> GroupNormWeights:
    """Carry the weights of a network with BatchNorm over to GroupNorm (Wu and He 2018, arXiv:1803.08494).

    Kernels, gamma and beta are kept; running statistics are dropped. The new network computes another function: it is
    where fine-tuning starts, no replacement. What normalises otherwise already stays as it is.

    Args:
        spec: of the network, with `norm: batch` or `sync_batch`.
        weights: its parameters and running statistics by structured name, as in a checkpoint.

    Raises:
        ConfigError: the network has no BatchNorm, or the weights are not its own.
    """
    if spec.norm not in ("batch", "sync_batch"):
        raise ConfigError(f"expected a network with norm batch or sync_batch, found {spec.norm}: nothing to turn")
    target = spec.model_copy(update={"norm": "group"})
    model = build(target)
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    dropped = [name for name in weights if name.endswith(_STATISTICS) and name not in shapes]
    kept = {name: array for name, array in weights.items() if name not in dropped}
    if problems := _differences(shapes, {name: list(array.shape) for name, array in kept.items()}):
        raise ConfigError("the weights are not those of the spec:", *problems[:10])
    if not dropped:
        raise ConfigError(f"{spec.name} has no BatchNorm, whatever its norm says: nothing to turn")
    return GroupNormWeights(target, kept, _note(spec, model, dropped, weights))


def _differences(expected: Mapping[str, list[int]], found: Mapping[str, list[int]]) -> list[str]:
    return [
        f"'{name}': the network needs {expected.get(name, 'no such one')}, found {found.get(name, 'none')}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]


def _note(spec: ModelSpec, model: nn.Layer, dropped: list[str], weights: Mapping[str, np.ndarray]) -> str:
    layers = {name.rpartition(".")[0] for name in dropped}
    groups = sorted({layer._num_groups for name, layer in model.named_sublayers() if name in layers})
    lost = sum(weights[name].size for name in dropped)
    return (
        f"{spec.name}: {len(layers)} BatchNorms became GroupNorms of {' or '.join(map(str, groups))} groups; kernels, "
        f"gamma and beta were kept. Lost: {lost:,} running statistics, a mean and a variance per channel. The network "
        "no longer computes the same function: each channel was scaled by what the training images gave, and now each "
        "group of channels is scaled by what it holds in this one image. Its accuracy is lost until it is fine-tuned. "
        "GroupNorm is not folded into convolutions, so inference is slower too."
    )
