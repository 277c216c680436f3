"""Weights that make up for inputs that went."""

from dataclasses import replace

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from deploy.slim.cutting import cut
from deploy.slim.grouping import channel_graph
from deploy.slim.kept import Kept
from deploy.slim.planner import plan_of
from deploy.slim.reconstruction import Fit, reconstructed, watched
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import model_of, weights_of
from ppresnet.errors import DataError
from ppresnet.models import build
from ppresnet.spec import BlockSpec, ResNetSpec, StemSpec, spec_of

SPEC = spec_of("cifar_resnet20", in_channels=1, input_size=8)
GRAPH = channel_graph(SPEC)
INTERNAL = "stages.0.0.branch.0.conv"


@pytest.fixture(scope="module")
def batches() -> list[np.ndarray]:
    drawn = np.random.default_rng(0)
    return [drawn.standard_normal((32, 1, 8, 8)).astype("float32") for _ in range(3)]


@pytest.fixture(scope="module")
def whole() -> Checkpoint:
    paddle.seed(2)
    return Checkpoint(weights_of(build(SPEC)), {}, {}, SPEC.model_dump(mode="json"), {}, {})


def logits(checkpoint: Checkpoint, batches: list[np.ndarray]) -> np.ndarray:
    with paddle.no_grad():
        return np.concatenate([model_of(checkpoint)(paddle.to_tensor(images)).numpy() for images in batches])


def test_least_squares_find_the_weight_that_made_the_rows() -> None:
    drawn = np.random.default_rng(1)
    inputs, weight = drawn.standard_normal((500, 6)), drawn.standard_normal((6, 3))
    fit = Fit(ridge=1e-3)
    for part in np.split(inputs, 5):
        fit.add(part, part @ weight)
    np.testing.assert_allclose(fit.change(), weight, rtol=0.01)
    held = replace(fit, ridge=1.0)  # of inputs that are independent it halves the change
    np.testing.assert_allclose(held.change(), weight / 2, atol=0.06)


@pytest.mark.parametrize("trunk", [False, True], ids=["internal", "all"])
def test_the_smaller_network_is_nearer_to_the_whole_one(
    trunk: bool, whole: Checkpoint, batches: list[np.ndarray]
) -> None:
    keep = {group.name: tuple(range(group.units // 2)) for group in GRAPH if trunk or not group.trunk}
    smaller = cut(whole, plan_of(whole, GRAPH, keep), GRAPH)
    fitted = reconstructed(whole, smaller, Kept(GRAPH, keep), batches)
    # Other images than the weights were fitted on.
    others = [np.random.default_rng(9).standard_normal((64, 1, 8, 8)).astype("float32")]
    before, after = (np.square(logits(one, others) - logits(whole, others)).mean() for one in (smaller, fitted))
    assert after < 0.5 * before


def test_a_channel_that_copies_another_costs_nothing(whole: Checkpoint, batches: list[np.ndarray]) -> None:
    """Cut one of two equal channels: the fit gives its weight to the other, as float64 arithmetic says."""
    weights = dict(whole.weights)
    for name in (f"{INTERNAL}.weight", *(f"stages.0.0.branch.0.norm.{part}" for part in ("weight", "bias"))):
        weights[name] = weights[name].copy()
        weights[name][1] = weights[name][0]
    twin = replace(whole, weights=weights)
    keep = {INTERNAL: tuple(unit for unit in range(GRAPH.groups[INTERNAL].units) if unit != 1)}
    smaller = cut(twin, plan_of(twin, GRAPH, keep), GRAPH)
    fitted = reconstructed(twin, smaller, Kept(GRAPH, keep), batches, ridge=1e-3)
    taker = "stages.0.0.branch.1.conv.weight"
    wanted = weights[taker][:, 0].astype(np.float64) + weights[taker][:, 1]
    assert np.abs(smaller.weights[taker][:, 0] - wanted).max() > 0.05
    np.testing.assert_allclose(fitted.weights[taker][:, 0], wanted, atol=0.02)
    changed = [name for name, array in fitted.weights.items() if not np.array_equal(array, smaller.weights[name])]
    assert sorted(changed) == [taker, "stages.0.0.branch.1.norm._mean"]


def test_what_is_the_same_for_all_images_goes_into_the_mean_of_the_norm_behind(
    whole: Checkpoint, batches: list[np.ndarray]
) -> None:
    """Cut channels that only ever give a constant, from a 1 x 1 convolution's input: the network answers as before."""
    block = BlockSpec(kind="bottleneck", widths=(4, 6, 8), skip="projection")
    spec = ResNetSpec(
        name="small",
        num_classes=3,
        in_channels=1,
        input_size=8,
        stem=StemSpec(kind="cifar", width=4),
        stages=((block,),),
    )
    graph, inner = channel_graph(spec), "stages.0.0.branch.1"
    weights = weights_of(build(spec))
    gamma, beta = (np.array(weights[f"{inner}.norm.{part}"]) for part in ("weight", "bias"))
    gamma[:3], beta[:3] = 0.0, (1.0, 2.0, 3.0)
    constant = Checkpoint(
        {**weights, f"{inner}.norm.weight": gamma, f"{inner}.norm.bias": beta},
        {},
        {},
        spec.model_dump(mode="json"),
        {},
        {},
    )
    keep = {f"{inner}.conv": (3, 4, 5)}
    smaller = cut(constant, plan_of(constant, graph, keep), graph)
    fitted = reconstructed(constant, smaller, Kept(graph, keep), batches)
    before, after = (np.abs(logits(one, batches) - logits(constant, batches)).max() for one in (smaller, fitted))
    assert before > 0.1
    assert after < 0.01 * before


def test_the_moving_average_is_what_is_fitted(whole: Checkpoint, batches: list[np.ndarray]) -> None:
    keep = {INTERNAL: tuple(range(8))}
    averaged = replace(whole, ema=dict(whole.weights))
    smaller = cut(averaged, plan_of(averaged, GRAPH, keep), GRAPH)
    fitted = reconstructed(averaged, smaller, Kept(GRAPH, keep), batches)
    taker = "stages.0.0.branch.1.conv.weight"
    assert np.array_equal(fitted.weights[taker], smaller.weights[taker])
    assert not np.array_equal(fitted.ema[taker], smaller.ema[taker])


def test_images_are_needed(whole: Checkpoint) -> None:
    keep = {INTERNAL: tuple(range(8))}
    smaller = cut(whole, plan_of(whole, GRAPH, keep), GRAPH)
    with pytest.raises(DataError, match="at least one batch"):
        reconstructed(whole, smaller, Kept(GRAPH, keep), [])


def test_a_watch_ends() -> None:
    layer, seen = nn.Linear(2, 2), []
    with watched([layer], lambda layer, x, y: seen.append((x.shape, y.shape))):
        layer(paddle.ones([3, 2]))
    assert F.relu(layer(paddle.ones([3, 2]))).shape == [3, 2] and seen == [([3, 2], [3, 2])]
