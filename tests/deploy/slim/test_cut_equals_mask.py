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
from ppresnet.spec import ModelSpec

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


def check(spec: ModelSpec, rng: np.random.Generator, training: bool = False) -> int:
    """Return how many tensors the plan made smaller."""
    graph = channel_graph(spec)
    assert graph.untouched == ()
    checkpoint, images = random_checkpoint(spec, rng), random_images(spec, rng)
    keep = random_keep(graph, rng)
    smaller = cut_tensors(checkpoint, spec, Kept(graph, keep), frozenset())
    gone = {name: [unit for unit in range(graph.groups[name].units) if unit not in keep[name]] for name in keep}
    by_weights = replace(checkpoint, weights=masked(final_weights(checkpoint), graph, gone), ema={})
    by_hooks = model_of(checkpoint)
    mask_outputs(by_hooks, graph, keep)
    models = [model_of(smaller), by_hooks, model_of(by_weights)]
    for model in models:
        model.to(dtype="float64")
        if training:
            model.train()
    (logits, gradient), *others = [answer(model, images) for model in models]
    assert np.abs(logits).max() > 0
    for other_logits, other_gradient in others:
        assert difference(logits, other_logits) <= LIMIT
        assert difference(gradient, other_gradient) <= LIMIT
    return sum(smaller.weights[name].size < array.size for name, array in checkpoint.weights.items())


@pytest.mark.parametrize("family", RANDOM)
@pytest.mark.parametrize("seed", range(4))
def test_cut_equals_mask(family: str, seed: int) -> None:
    rng = np.random.default_rng([seed, *family.encode()])
    check(RANDOM[family](rng), rng)


@pytest.mark.slow
@pytest.mark.parametrize("family", RANDOM)
@pytest.mark.parametrize("block", range(10))
def test_cut_equals_mask_for_many(family: str, block: int) -> None:
    cut = 0
    for seed in range(5 * block, 5 * block + 5):
        rng = np.random.default_rng([1000 + seed, *family.encode()])
        cut += check(RANDOM[family](rng), rng)
    assert cut > 0
