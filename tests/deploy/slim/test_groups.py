"""Channel groups against a published number, a brute-force oracle and what must be refused."""

import doctest
from collections.abc import Mapping

import numpy as np
import paddle
import pytest
from paddle import nn
from random_specs import RANDOM, random_weights

from deploy.slim import groups
from deploy.slim.grouping import channel_graph, graph_of
from deploy.slim.groups import ChannelGraph
from ppresnet.checkpoint.state import restore_weights
from ppresnet.models import build
from ppresnet.spec import ModelSpec, spec_of

Slot = tuple[str, str, int]  # layer, in or out, channel


def test_the_worked_example_is_true() -> None:
    assert doctest.testmod(groups).failed == 0


def test_resnet50_has_the_37_groups_that_paddleslim_finds() -> None:
    graph = channel_graph(spec_of("resnet50", input_size=32))
    assert len(graph.groups) == 37
    assert sum(group.trunk for group in graph) == 4
    assert sum(member.role == "rows" for group in graph for member in group.members) == 53
    assert {group.frozen for group in graph.frozen.values()} == {"it is the image", "it is the output of the network"}


ENDS = {"it is the image", "it is the output of the network"}
QUICK = ("cifar_wrn16_8", "cifar_densenet40_12", "cifar_highway20", "lcnet_100", "vit_tiny_patch16_224")
LONG = ("cifar_resnext29_8x64d", "seresnet50", "resnetv2_50")


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in LONG)])
def test_nothing_is_frozen_for_no_reason(name: str) -> None:
    reasons = {group.frozen for group in channel_graph(spec_of(name)).frozen.values()}
    assert reasons - ENDS == ({"LayerNorm runs over all channels of a token"} if name.startswith("vit") else set())


def test_option_a_ties_the_middle_channels_of_all_stages() -> None:
    graph = channel_graph(spec_of("cifar_resnet20"))
    trunk = {group.name: group for group in graph if group.trunk}
    assert [group.units for group in trunk.values()] == [16, 16, 32]
    rows = {member.tensor: member.units for member in trunk["stem.conv"].members if member.role == "rows"}
    assert rows["stages.1.0.branch.1.conv.weight"].tolist() == [-1] * 8 + list(range(16)) + [-1] * 8
    assert rows["stages.2.2.branch.1.conv.weight"].tolist() == [-1] * 24 + list(range(16)) + [-1] * 24


def layers_of(model: nn.Layer) -> dict[str, nn.Layer]:
    return {name: layer for name, layer in model.named_sublayers() if isinstance(layer, nn.Conv2D | nn.Linear)}


def axis_of(layer: nn.Layer) -> int:
    return -1 if isinstance(layer, nn.Linear) else 1


class Oracle:
    """Finds out by trial which channels are tied: every layer gives what was drawn for it, whatever it is given.

    Nothing then passes through a layer, so a channel that a layer takes depends on those that are tied to it alone.
    """

    def __init__(self, spec: ModelSpec, rng: np.random.Generator) -> None:
        self.model, self.spec, self.rng = build(spec), spec, rng
        restore_weights(self.model, random_weights(spec, rng))
        self.model.eval()
        self.model.to(dtype="float64")
        self.layers = layers_of(self.model)
        self.given: dict[str, np.ndarray] = {}
        self.taken: dict[str, np.ndarray] = {}
        for name, layer in self.layers.items():
            layer.register_forward_post_hook(lambda _layer, inputs, out, name=name: self._replace(name, inputs, out))

    def _replace(self, name: str, inputs: tuple[paddle.Tensor, ...], out: paddle.Tensor) -> paddle.Tensor:
        self.taken[name] = inputs[0].numpy()
        if name not in self.given:
            self.given[name] = self.rng.uniform(0.5, 2.0, out.shape)
        return paddle.to_tensor(self.given[name])

    def run(self) -> dict[str, np.ndarray]:
        size = self.spec.input_size
        with paddle.no_grad():
            self.model(paddle.ones([2, self.spec.in_channels, size, size], dtype="float64"))
        return dict(self.taken)

    def ties(self) -> dict[Slot, set[Slot]]:
        """Return for every channel that a layer gives the channels that layers take which change with it."""
        self.run()
        before, found = self.run(), {}
        for name, layer in self.layers.items():
            axis = axis_of(layer)
            for channel in range(self.given[name].shape[axis]):
                kept = self.given[name].copy()
                index = [slice(None)] * kept.ndim
                index[axis] = channel
                self.given[name][tuple(index)] *= self.rng.uniform(1.1, 1.5, kept[tuple(index)].shape)
                found[name, "out", channel] = self._changed(before)
                self.given[name] = kept
        return found

    def _changed(self, before: Mapping[str, np.ndarray]) -> set[Slot]:
        changed = set()
        for name, after in self.run().items():
            axis = axis_of(self.layers[name]) % after.ndim
            apart = np.abs(after - before[name]).max(axis=tuple(other for other in range(after.ndim) if other != axis))
            changed |= {(name, "in", int(channel)) for channel in np.flatnonzero(apart > 1e-9)}
        return changed


def components(ties: Mapping[Slot, set[Slot]], model: nn.Layer) -> list[frozenset[Slot]]:
    """Return what is tied, directly or through others; a group of a grouped convolution is tied by definition."""
    sets = [{slot, *others} for slot, others in ties.items()]
    for name, layer in layers_of(model).items():
        groups = getattr(layer, "_groups", 1)
        if groups > 1:
            ins, outs = layer._in_channels // groups, layer._out_channels // groups
            for number in range(groups):
                sets.append(
                    {(name, "in", channel) for channel in range(ins * number, ins * (number + 1))}
                    | {(name, "out", channel) for channel in range(outs * number, outs * (number + 1))}
                )
    merged: list[set[Slot]] = []
    for each in sets:
        apart = [other for other in merged if not other & each]
        merged = [*apart, each.union(*(other for other in merged if other & each))]
    return [frozenset(each) for each in merged]


def units_of(graph: ChannelGraph, model: nn.Layer) -> list[frozenset[Slot]]:
    """Return the slots of each unit that can be cut, as the oracle names them."""
    kernels, found = layers_of(model), []
    for group in graph:
        for unit in range(group.units):
            slots: set[Slot] = set()
            for member in group.members:
                layer = member.tensor.rpartition(".")[0]
                if layer in kernels and member.role in ("rows", "columns"):
                    side = "out" if member.role == "rows" else "in"
                    slots |= {(layer, side, int(channel)) for channel in np.flatnonzero(member.units == unit)}
            found.append(frozenset(slots))
    return found


def with_grouped_inputs(units: list[frozenset[Slot]], model: nn.Layer) -> list[frozenset[Slot]]:
    """Return the units with what grouped convolutions take, which no axis of their kernels holds."""
    found = []
    for unit in units:
        slots = set(unit)
        for name, layer in layers_of(model).items():
            groups = getattr(layer, "_groups", 1)
            for _, side, channel in [slot for slot in unit if slot[0] == name and groups > 1]:
                assert side == "out"
                number, ins = channel // (layer._out_channels // groups), layer._in_channels // groups
                slots |= {(name, "in", each) for each in range(ins * number, ins * (number + 1))}
        found.append(frozenset(slots))
    return found


def check_against_oracle(family: str, seed: int) -> int:
    rng = np.random.default_rng([seed, *family.encode(), 7])
    spec = RANDOM[family](rng)
    model = build(spec)
    graph = channel_graph(spec)
    ties = Oracle(spec, rng).ties()
    for name in layers_of(model):
        if name.endswith("skip.1.conv") and (name, "out", 1) not in ties:
            del ties[name, "out", 0]  # the gate of a pixel changes every channel and belongs to none
    tied = {slot: component for component in components(ties, model) for slot in component}
    ours = with_grouped_inputs(units_of(graph, model), model)
    for unit in ours:
        # An option-A skip adds zeros: what reads or scales them changes nothing, but its position goes with the unit.
        moved = {slot for slot in unit if slot in tied}
        parts = {tied[slot] for slot in moved}
        assert frozenset().union(*parts) == moved
        assert len([part for part in parts if len(part) > 1]) == 1 or len(parts) == 1
        assert {side for _, side, _ in unit - moved} <= {"in"}
        assert family == "gated" or (len(parts) == 1 and unit == moved)
    frozen = {slot for slot in tied if not any(slot in unit for unit in ours)}
    assert all(tied[slot] <= frozen for slot in frozen)
    return len(ours)


@pytest.mark.parametrize("family", RANDOM)
def test_groups_are_what_a_brute_force_oracle_finds(family: str) -> None:
    assert sum(check_against_oracle(family, seed) for seed in range(2)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("family", RANDOM)
def test_groups_are_what_a_brute_force_oracle_finds_in_many(family: str) -> None:
    assert sum(check_against_oracle(family, seed) for seed in range(100, 112)) > 50


class Around(nn.Layer):
    """Two convolutions with something between them."""

    def __init__(self, between: nn.Layer, taken: int = 4) -> None:
        super().__init__()
        self.first, self.between, self.last = nn.Conv2D(3, 4, 3), between, nn.Conv2D(taken, 2, 3)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.last(self.between(self.first(x)))


class Sorted(nn.Layer):
    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return paddle.cumsum(x, axis=1)


class MeanOfChannels(nn.Layer):
    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return x - x.mean(axis=1, keepdim=True)


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        (Sorted(), "the operator 'cumsum' is not understood"),
        (MeanOfChannels(), "an average runs over its channels"),
        (nn.Sigmoid(), "reads values that are not zero when a channel is masked"),
        (nn.GroupNorm(1, 4), "a normalisation runs over all of its channels"),
    ],
)
def test_what_cannot_be_cut_is_frozen_and_the_reason_told(between: nn.Layer, reason: str) -> None:
    if isinstance(between, nn.Sigmoid):
        between = OwnSigmoid()
    graph = graph_of(Around(between), (3, 8, 8))
    assert graph.groups == {}
    assert reason in graph.frozen["first"].frozen
    assert reason in repr(graph)


class OwnSigmoid(nn.Layer):
    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        from ppresnet.paddle_api import sigmoid

        return sigmoid(x)


def test_group_norm_goes_by_whole_groups() -> None:
    graph = graph_of(Around(nn.Sequential(nn.GroupNorm(2, 4), nn.ReLU())), (3, 8, 8))
    assert graph.groups["first"].units == 2
    assert graph.groups["first"].members[0].units.tolist() == [0, 0, 1, 1]
