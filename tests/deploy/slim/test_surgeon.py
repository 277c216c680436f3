"""What the removal of a unit adds when all that is left is fitted anew: against least squares from scratch."""

from dataclasses import replace

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from random_specs import RANDOM, random_checkpoint, random_images

from deploy.slim.grouping import channel_graph
from deploy.slim.groups import ChannelGraph, Group, Member
from deploy.slim.rows import constant_of, inputs_of, outputs_of, watched
from deploy.slim.surgeon import Taker, surgeon_scores
from deploy.slim.takers import RIDGE, measured_takers
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import model_of
from ppresnet.errors import DataError, RequestError
from ppresnet.spec import BlockSpec, ResNetSpec, StemSpec

SPEC = ResNetSpec(
    name="small",
    num_classes=3,
    input_size=8,
    stem=StemSpec(kind="cifar", width=4),
    stages=((BlockSpec(kind="bottleneck", widths=(4, 5, 4), skip="identity"),),),
)
GRAPH = channel_graph(SPEC)
FIRST, INNER, TAKER = (f"stages.0.0.branch.{place}.conv" for place in range(3))
NORM = "stages.0.0.branch.1.norm"  # behind INNER


def graph_of(*members: Member) -> ChannelGraph:
    units = int(members[0].units.max()) + 1
    return ChannelGraph({"group": Group("group", units, False, members)}, {})


def missing(squares: np.ndarray, weight: np.ndarray, gone: list[int]) -> float:
    """Return the least mean square error of the outputs without these inputs, by solving for all that are left."""
    left = [row for row in range(len(squares)) if row not in gone]
    root = np.linalg.cholesky(squares).T
    fitted = np.linalg.lstsq(root[:, left], root @ weight, rcond=None)[0]
    return float(np.square(root @ weight - root[:, left] @ fitted).sum())


def test_units_go_one_by_one_as_least_squares_from_scratch_say() -> None:
    """A convolution with 3 taps takes units 2 to 5 of another group's channels too, and a linear layer takes them."""
    drawn = np.random.default_rng(0)
    conv_units = np.array([-1, 2, 0, -1, 1, 3])
    linear_units = np.array([0, 1, 2, 3, 0, 1, 2, 3])
    sides = []
    for units, taps in ((conv_units, 3), (linear_units, 1)):
        rows = drawn.normal(size=(100, len(units) * taps)) @ drawn.normal(size=(len(units) * taps,) * 2)
        sides.append((units.repeat(taps), rows.T @ rows / 100, drawn.normal(size=(len(units) * taps, 2)), taps))
    members = [
        Member(f"{name}.weight", 0, "columns", units) for name, units in (("conv", conv_units), ("fc", linear_units))
    ]
    takers = {
        name: Taker(weight, np.linalg.inv(squares), taps)
        for name, (_, squares, weight, taps) in zip(("conv", "fc"), sides, strict=True)
    }
    found = surgeon_scores(graph_of(*members), takers)["group"]

    gone: list[int] = []
    before = dearest = 0.0
    while len(gone) < 4:
        whole = {
            unit: sum(
                missing(squares, weight, np.flatnonzero(np.isin(units, [*gone, unit])).tolist())
                for units, squares, weight, _ in sides
            )
            for unit in range(4)
            if unit not in gone
        }
        cheapest = min(whole, key=lambda unit: whole[unit])
        dearest = max(dearest, whole[cheapest] - before)
        assert found[cheapest] == pytest.approx(dearest, rel=1e-6)
        before = whole[cheapest]
        gone.append(cheapest)


def small() -> Checkpoint:
    """Return a network in which every channel of INNER varies."""
    checkpoint = random_checkpoint(SPEC, np.random.default_rng(0))
    return altered(checkpoint, **{f"{NORM}.weight": np.ones(5, "float32"), f"{NORM}.bias": np.ones(5, "float32")})


def altered(checkpoint: Checkpoint, **tensors: np.ndarray) -> Checkpoint:
    return replace(checkpoint, weights={**checkpoint.weights, **tensors}, ema={})


def batches(count: int = 2) -> list[tuple[np.ndarray, np.ndarray]]:
    drawn = np.random.default_rng(3)
    return [(drawn.normal(size=(16, 3, 8, 8)).astype("float32"), drawn.integers(0, 3, 16)) for _ in range(count)]


def test_takers_hold_the_inputs_of_a_layer_and_the_slopes_of_its_outputs() -> None:
    checkpoint = small()
    takers = measured_takers(checkpoint, GRAPH, batches())
    assert set(takers) == {FIRST, INNER, TAKER, "head.fc"}
    model = model_of(checkpoint)
    layer = dict(model.named_sublayers())[INNER]
    rows, slopes = [], []

    def note(layer: paddle.nn.Layer, x: paddle.Tensor, y: paddle.Tensor) -> None:
        y.retain_grads()
        rows.append(np.concatenate([inputs_of(layer, x), np.ones((16 * 16, 1))], axis=1))
        slopes.append(y)

    with watched([layer], note):
        for images, labels in batches():
            F.cross_entropy(model(paddle.to_tensor(images)), paddle.to_tensor(labels), reduction="sum").backward()
    table = np.concatenate(rows)
    squares = table.T @ table / len(table)
    ridge = np.diag([RIDGE * table[:, :-1].var(axis=0).mean()] * (table.shape[1] - 1) + [0.0])
    np.testing.assert_allclose(takers[INNER].inverse @ (squares + ridge), np.eye(len(squares)), atol=1e-8)
    steep = sum(np.square(y.grad.numpy().astype(np.float64)).sum(axis=(0, 2, 3)) for y in slopes) / 32
    weight = layer.weight.numpy().reshape(5, -1).T * np.sqrt(steep)
    np.testing.assert_allclose(takers[INNER].weight, np.concatenate([weight, np.zeros((1, 5))]), rtol=1e-5, atol=1e-9)


def scores(checkpoint: Checkpoint) -> np.ndarray:
    return surgeon_scores(GRAPH, measured_takers(checkpoint, GRAPH, batches()))[INNER]


def test_of_two_equal_channels_one_costs_nothing() -> None:
    checkpoint = small()
    names = (f"{INNER}.weight", *(f"{NORM}.{part}" for part in ("weight", "bias", "_mean", "_variance")))
    twins = {name: np.array(checkpoint.weights[name]) for name in names}
    for array in twins.values():
        array[3] = array[1]
    found = scores(altered(checkpoint, **twins))
    first, second = sorted(found[[1, 3]])
    assert first == found.min() < 0.1 * second


@pytest.mark.parametrize("decoy", ["constant", "unread"])
def test_a_channel_whose_removal_changes_nothing_goes_first(decoy: str) -> None:
    """One that is the same for all images is made up for by the mean of the BatchNorm behind its taker."""
    checkpoint = small()
    if decoy == "constant":
        changed = {f"{NORM}.{part}": np.array(checkpoint.weights[f"{NORM}.{part}"]) for part in ("weight", "bias")}
        changed[f"{NORM}.weight"][2], changed[f"{NORM}.bias"][2] = 0.0, 3.0
    else:
        changed = {f"{name}.weight": np.array(checkpoint.weights[f"{name}.weight"]) for name in (TAKER, INNER)}
        changed[f"{TAKER}.weight"][:, 2] = 0.0
        changed[f"{INNER}.weight"][2] *= 20
    found = scores(altered(checkpoint, **changed))
    assert found.argmin() == 2
    assert found[2] < 0.02 * np.sort(found)[1]


def test_who_takes_a_constant() -> None:
    tensors = model_of(small()).state_dict()
    assert constant_of("head.fc", GRAPH, tensors) == ("head.fc.bias", 1)
    assert constant_of(TAKER, GRAPH, tensors) == ("stages.0.0.branch.2.norm._mean", -1)
    assert constant_of(TAKER, GRAPH, {}) is None


def test_outputs_belong_to_inputs() -> None:
    layer = paddle.nn.Conv2D(3, 4, 3, stride=2, padding=1, bias_attr=False)
    x = paddle.to_tensor(np.random.default_rng(4).normal(size=(2, 3, 9, 9)).astype("float32"))
    product = inputs_of(layer, x) @ layer.weight.numpy().reshape(4, -1).T
    np.testing.assert_allclose(outputs_of(layer, layer(x)), product, atol=1e-5)


def test_images_are_needed() -> None:
    with pytest.raises(DataError, match="at least one batch"):
        measured_takers(small(), GRAPH, [])


def test_a_group_that_nothing_takes_is_refused() -> None:
    with pytest.raises(RequestError, match=r"no layer that takes group 'stem.conv' can be fitted.*--importance"):
        surgeon_scores(GRAPH, {})


@pytest.mark.parametrize("family", sorted(RANDOM))
def test_every_family_that_can_be_cut_can_be_scored(family: str) -> None:
    rng = np.random.default_rng(5)
    spec = RANDOM[family](rng)
    checkpoint, graph = random_checkpoint(spec, rng), channel_graph(spec)
    images = random_images(spec, rng, 24).numpy().astype("float32")
    found = surgeon_scores(graph, measured_takers(checkpoint, graph, [(images, rng.integers(0, 5, 24))]))
    assert found.keys() == graph.groups.keys()
    for name, scored in found.items():
        assert scored.shape == (graph.groups[name].units,)
        assert np.isfinite(scored).all() and (scored >= 0).all()
