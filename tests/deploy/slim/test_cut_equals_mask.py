"""Cutting channels and masking them give the same network: equal outputs and equal gradients of the input."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import paddle
import pytest
from paddle import nn
from random_specs import RANDOM, random_checkpoint, random_images
from relative import difference

from deploy.slim.cutting import cut_tensors
from deploy.slim.grouping import channel_graph
from deploy.slim.groups import ChannelGraph
from deploy.slim.kept import Kept
from deploy.slim.masking import masked
from ppresnet.checkpoint.state import final_weights, model_of
from ppresnet.spec import BlockSpec, ModelSpec, ResNetSpec, StemSpec

LIMIT = 1e-9  # in float64, in which only the algebra is left


def random_keep(graph: ChannelGraph, rng: np.random.Generator) -> dict[str, tuple[int, ...]]:
    keep = {}
    for group in graph:
        if rng.integers(4):
            count = int(rng.integers(1, group.units + 1))
            keep[group.name] = tuple(sorted(map(int, rng.choice(group.units, count, replace=False))))
    return keep


def answer(model: nn.Layer, images: paddle.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits, and the gradient of their weighted sum with respect to the images."""
    images.clear_gradient()
    logits = model(images)
    (logits * paddle.arange(1, logits.shape[1] + 1).astype("float64")).sum().backward()
    return logits.numpy(), images.grad.numpy()


def mask_outputs(model: nn.Layer, graph: ChannelGraph, keep: Mapping[str, Sequence[int]]) -> None:
    """Multiply what every layer and normalisation of a group gives, by hooks: the weights stay as they are."""
    layers = dict(model.named_sublayers())
    for name, units in keep.items():
        for member in graph.groups[name].members:
            if member.role not in ("rows", "scale"):
                continue
            stays = np.where(member.units >= 0, np.isin(member.units, units), True).astype(np.float64)
            layer = layers[member.tensor.rpartition(".")[0]]
            shape = [-1] if isinstance(layer, nn.Linear | nn.LayerNorm) else [-1, 1, 1]
            factor = paddle.to_tensor(stays).reshape(shape)
            layer.register_forward_post_hook(lambda _layer, _in, out, factor=factor: out * factor)


def apart(
    spec: ModelSpec,
    graph: ChannelGraph,
    keep: Mapping[str, Sequence[int]],
    rng: np.random.Generator,
    cut_by: ChannelGraph | None = None,
    training: bool = False,
) -> tuple[float, int]:
    """Return the largest difference between cutting and masking, and how many tensors the cut made smaller."""
    checkpoint, images = random_checkpoint(spec, rng), random_images(spec, rng)
    smaller = cut_tensors(checkpoint, spec, Kept(cut_by or graph, keep), frozenset())
    gone = {name: [unit for unit in range(graph.groups[name].units) if unit not in keep[name]] for name in keep}
    by_weights = replace(checkpoint, weights=masked(final_weights(checkpoint), graph, gone), ema={})
    models = [model_of(smaller), model_of(checkpoint), model_of(by_weights)]
    mask_outputs(models[1], graph, keep)
    for model in models:
        model.to(dtype="float64")
        if training:
            model.train()
    (logits, gradient), *others = [answer(model, images) for model in models]
    assert np.abs(logits).max() > 0
    differences = [difference(logits, other) for other, _ in others] + [difference(gradient, g) for _, g in others]
    fewer = sum(smaller.weights[name].size < array.size for name, array in checkpoint.weights.items())
    return max(differences), fewer


def check(spec: ModelSpec, rng: np.random.Generator, training: bool = False) -> int:
    """Return how many tensors a random plan made smaller."""
    graph = channel_graph(spec)
    assert graph.untouched == ()
    difference, fewer = apart(spec, graph, random_keep(graph, rng), rng, training=training)
    assert difference <= LIMIT
    return fewer


@pytest.mark.parametrize("family", RANDOM)
def test_cut_equals_mask(family: str) -> None:
    cut = 0
    for seed in range(4):
        rng = np.random.default_rng([seed, *family.encode()])
        cut += check(RANDOM[family](rng), rng)
    assert cut > 0


@pytest.mark.slow
@pytest.mark.parametrize("family", RANDOM)
@pytest.mark.parametrize("block", range(10))
def test_cut_equals_mask_for_many(family: str, block: int) -> None:
    cut = 0
    for seed in range(5 * block, 5 * block + 5):
        rng = np.random.default_rng([1000 + seed, *family.encode()])
        cut += check(RANDOM[family](rng), rng)
    assert cut > 0


@pytest.mark.parametrize("family", ["resnet", "preact"])
def test_cut_equals_mask_in_training_too(family: str) -> None:
    cut = 0
    for seed in (9, 10):
        rng = np.random.default_rng([seed, *family.encode()])
        cut += check(RANDOM[family](rng), rng, training=True)
    assert cut > 0


def with_swapped(graph: ChannelGraph, name: str, number: int) -> ChannelGraph:
    """Return a graph in which one member takes the last unit of a group for the first."""
    group = graph.groups[name]
    units = group.members[number].units
    swapped = np.select([units == 0, units == group.units - 1], [group.units - 1, 0], units)
    members = list(group.members)
    members[number] = replace(members[number], units=swapped)
    return replace(graph, groups={**graph.groups, name: replace(group, members=tuple(members))})


def test_a_member_that_is_cut_at_other_indices_is_noticed() -> None:
    spec = ResNetSpec(
        name="small",
        num_classes=5,
        input_size=8,
        stem=StemSpec(kind="cifar", width=6),
        stages=(
            (
                BlockSpec(kind="basic", widths=(5, 6), skip="identity", se=3),
                BlockSpec(kind="basic", widths=(5, 12), skip="zero_pad", stride=2),
            ),
        ),
    )
    graph = channel_graph(spec)
    tried = 0
    for group in graph:
        keep = {group.name: tuple(range(1, group.units))}
        assert apart(spec, graph, keep, np.random.default_rng(0))[0] <= LIMIT
        for number in range(len(group.members)):
            wrong = with_swapped(graph, group.name, number)
            # One draw of weights may have a layer whose activation is zero for all images, and so nothing to notice.
            draws = (apart(spec, graph, keep, np.random.default_rng(seed), cut_by=wrong)[0] for seed in range(5))
            assert any(difference > 1e-4 for difference in draws), group.members[number]
            tried += 1
    assert tried > 30
