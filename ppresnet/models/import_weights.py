"""Foreign weights into a network of ours, every tensor accounted for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import paddle
from paddle import nn

from ppresnet.errors import ConfigError
from ppresnet.models.adaptation import HEAD, has_other_classes, of_other_channels, says, to_channels
from ppresnet.models.create import build
from ppresnet.models.names import Convention, convention_of

_SHOWN = 20


@dataclass(frozen=True)
class ImportReport:
    """What became of each foreign tensor; every one is in `mapped`, `reinitialised` or `unmapped`.

    Attributes:
        mapped: pairs (their name, our name).
        unmapped: their names that have no counterpart here, by rule.
        reinitialised: pairs of the head's tensors that were drawn anew, since the number of classes differs.
        adapted: sentences about tensors that were changed to fit.
    """

    mapped: tuple[tuple[str, str], ...]
    unmapped: tuple[str, ...]
    reinitialised: tuple[tuple[str, str], ...] = ()
    adapted: tuple[str, ...] = ()


def import_weights(model: nn.Layer, state: Mapping[str, np.ndarray], source: str) -> ImportReport:
    """Load the tensors of another library's state dict into a network; on any error the network is left as it was.

    A head for another number of classes is drawn anew. Kernels of the stem for another number of input channels are
    summed, or repeated and scaled.

    Args:
        model: a network of `create`.
        state: the foreign names and arrays.
        source: whose names they are: one of `ppresnet.models.names.SOURCES`.

    Raises:
        ConfigError: the source is unknown or has no such network, a tensor is missing or left over, or a shape differs
            (both are named).
    """
    convention = convention_of(model.spec, source)
    state = {convention.todays(name): array for name, array in state.items()}
    _refuse_other_architectures(state, convention)
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {ours: theirs for ours in shapes if (theirs := convention.theirs(ours)) in state}
    plan = _Plan(shapes, _in_our_layout(model, state, found, convention))
    for ours, theirs in found.items():
        plan.add(theirs, ours)
    missing = [
        f"missing tensor '{convention.theirs(ours)}' (for '{ours}' {shape})"
        for ours, shape in shapes.items()
        if ours not in found
    ]
    left = sorted(set(state) - set(found.values()))
    unmapped = tuple(name for name in left if re.search(convention.ignored, name))
    unexpected = [f"unexpected tensor '{name}' {list(state[name].shape)}" for name in left if name not in unmapped]
    if problems := [line for lines in (plan.problems, missing, unexpected) for line in _shortened(lines)]:
        raise ConfigError(*problems)
    drawn = _drawn_anew(model, [ours for _, ours in plan.reinitialised])
    model.set_state_dict({name: paddle.to_tensor(array) for name, array in (plan.loaded | drawn).items()})
    return ImportReport(tuple(plan.mapped), unmapped, tuple(plan.reinitialised), tuple(plan.adapted))


class _Plan:
    """What is going to be loaded, and what stands in the way."""

    def __init__(self, shapes: Mapping[str, list[int]], arrays: Mapping[str, np.ndarray]) -> None:
        self.shapes, self.arrays = shapes, arrays
        self.loaded: dict[str, np.ndarray] = {}
        self.mapped: list[tuple[str, str]] = []
        self.reinitialised: list[tuple[str, str]] = []
        self.adapted: list[str] = []
        self.problems: list[str] = []
        head = [name for name in arrays if name.startswith(HEAD)]
        self.head = head if has_other_classes([(shapes[name], arrays[name].shape) for name in head]) else []
        self.stem = next((name for name, shape in shapes.items() if len(shape) == 4), None)

    def add(self, theirs: str, ours: str) -> None:
        """Take one foreign tensor for one of ours."""
        array, shape = self.arrays[ours], self.shapes[ours]
        if array.dtype.kind != "f":
            self.problems.append(f"'{theirs}' has elements of {array.dtype}; '{ours}' of the model needs float32")
        elif list(array.shape) == shape:
            self._map(theirs, ours, array)
        elif ours in self.head:
            self.reinitialised.append((theirs, ours))
        elif ours == self.stem and of_other_channels(shape, array.shape):
            self.adapted.append(says(theirs, ours, array.shape[1], shape[1]))
            self._map(theirs, ours, to_channels(array, shape[1]))
        else:
            self.problems.append(f"'{theirs}' has shape {list(array.shape)}; '{ours}' of the model needs {shape}")

    def _map(self, theirs: str, ours: str, array: np.ndarray) -> None:
        if array.dtype != np.float32:
            self.adapted.append(f"'{ours}': {array.dtype} became float32")
        self.loaded[ours] = array.astype(np.float32, copy=False)
        self.mapped.append((theirs, ours))


def _in_our_layout(
    model: nn.Layer, state: Mapping[str, np.ndarray], found: Mapping[str, str], convention: Convention
) -> dict[str, np.ndarray]:
    linear = {f"{name}.weight" for name, layer in model.named_sublayers() if isinstance(layer, nn.Linear)}
    arrays = {ours: np.asarray(state[theirs]) for ours, theirs in found.items()}
    for ours in linear & arrays.keys():
        arrays[ours] = _as_matrix(arrays[ours], convention.linear_is_transposed)
    return arrays


def _as_matrix(array: np.ndarray, transposed: bool) -> np.ndarray:
    """Return a linear weight in our layout [in, out]; some classifiers, timm's of resnetv2, are 1x1 convolutions."""
    if array.shape[2:] == (1, 1):
        array = array[:, :, 0, 0]
    return array.T if transposed else array


def _refuse_other_architectures(state: Mapping[str, np.ndarray], convention: Convention) -> None:
    problems = [
        f"'{found[0]}' {reason}"
        for pattern, reason in convention.refused
        if (found := [name for name in state if re.search(pattern, name)])
    ]
    if problems:
        raise ConfigError(*problems)


def _drawn_anew(model: nn.Layer, names: list[str]) -> dict[str, np.ndarray]:
    if not names:
        return {}
    fresh = build(model.spec).state_dict()
    return {name: fresh[name].numpy() for name in names}


def _shortened(problems: list[str]) -> list[str]:
    more = len(problems) - _SHOWN
    return problems if more <= 0 else [*problems[:_SHOWN], f"and {more} more such tensors"]
