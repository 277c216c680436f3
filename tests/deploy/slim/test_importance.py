"""Scores: by hand on small numbers, and on channels whose removal changes nothing."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from random_specs import random_checkpoint

from deploy.slim.deviation import rectified_deviation
from deploy.slim.grouping import channel_graph
from deploy.slim.importance import by_unit, fpgm, l1, l2, scores
from deploy.slim.masking import masked
from deploy.slim.path_norm import path_scores
from deploy.slim.taylor import slopes, taylor_scores
from ppresnet.checkpoint.state import model_of, restore_weights
from ppresnet.errors import RequestError
from ppresnet.models import build
from ppresnet.spec import BlockSpec, ResNetSpec, StemSpec

SPEC = ResNetSpec(
    name="small",
    num_classes=3,
    input_size=8,
    stem=StemSpec(kind="cifar", width=6),
    stages=(
        (
            BlockSpec(kind="basic", widths=(5, 6), skip="identity"),
            BlockSpec(kind="bottleneck", widths=(4, 8, 12), skip="zero_pad", groups=2),
        ),
    ),
)
GRAPH = channel_graph(SPEC)
TRUNK, INNER, GROUPED = "stem.conv", "stages.0.0.branch.0.conv", "stages.0.1.branch.0.conv"


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    found = random_checkpoint(SPEC, np.random.default_rng(seed)).weights
    return {name: np.array(array) for name, array in found.items()}


def logits(state: dict[str, np.ndarray]) -> np.ndarray:
    model = build(SPEC)
    restore_weights(model, state)
    model.eval()
    return np.asarray(model(paddle.to_tensor(np.random.default_rng(1).normal(size=(4, 3, 8, 8)).astype(np.float32))))


def test_norms_by_hand() -> None:
    units = np.array([[3.0, -4.0], [0.0, 1.0], [3.0, -3.0]])
    assert l1(units).tolist() == [7, 1, 6]
    assert l2(units).tolist() == pytest.approx([5, 1, 18**0.5])
    assert fpgm(units).tolist() == pytest.approx([34**0.5 + 1, 34**0.5 + 5, 1 + 5])


def test_units_of_a_grouped_convolution_gather_all_their_channels() -> None:
    (member,) = [m for m in GRAPH.groups[GROUPED].members if m.tensor == "stages.0.1.branch.1.conv.weight"]
    array = np.arange(8 * 2 * 9, dtype=np.float32).reshape(8, 2, 3, 3)
    assert by_unit(member, array).tolist() == array.reshape(2, -1).tolist()


def unread(state: dict[str, np.ndarray], name: str, unit: int) -> None:
    """Make what takes a unit blind to it, and what gives it loud: a decoy for who looks at one tensor alone."""
    for member in GRAPH.groups[name].members:
        if member.role == "columns":
            np.moveaxis(state[member.tensor], member.axis, 0)[member.units == unit] = 0
        elif member.role == "rows":
            np.moveaxis(state[member.tensor], member.axis, 0)[member.units == unit] *= 20


def ungiven(state: dict[str, np.ndarray], name: str, unit: int) -> None:
    """Let the normalisations silence a unit whose kernels are loud."""
    for member in GRAPH.groups[name].members:
        if member.role in ("scale", "shift"):
            state[member.tensor][member.units == unit] = 0
        elif member.role == "rows":
            np.moveaxis(state[member.tensor], member.axis, 0)[member.units == unit] *= 20


@pytest.mark.parametrize("decoy", [unread, ungiven])
@pytest.mark.parametrize("name", [TRUNK, INNER, GROUPED])
@pytest.mark.parametrize("method", ["l1", "l2"])
def test_a_channel_that_changes_nothing_is_found_where_one_tensor_alone_misleads(decoy, name: str, method: str) -> None:
    state = weights()
    unit = GRAPH.groups[name].units - 1
    decoy(state, name, unit)
    assert np.abs(logits(state) - logits(masked(state, GRAPH, {name: [unit]}))).max() < 1e-5
    assert scores(GRAPH, state, method, "flow")[name].argmin() == unit
    assert scores(GRAPH, state, method, "flow")[name][unit] == pytest.approx(0, abs=1e-6)
    assert scores(GRAPH, state, method, "first")[name].argmin() != unit
    path = path_scores(GRAPH.groups[name], state)
    assert path.argmin() == unit
    assert path[unit] == pytest.approx(0, abs=1e-6)


def test_path_is_what_gives_a_channel_times_what_takes_it_as_they_are() -> None:
    state = weights()
    taker = "stages.0.0.branch.1.conv.weight"
    given = np.sqrt((state[f"{INNER}.weight"].astype(np.float64) ** 2).sum(axis=(1, 2, 3)))
    taken = np.sqrt((state[taker].astype(np.float64) ** 2).sum(axis=(0, 2, 3)))
    for part, value in (("weight", 1.0), ("bias", 0.0)):
        state[f"{INNER[:-5]}.norm.{part}"][:] = value
    before = path_scores(GRAPH.groups[INNER], state)
    assert before == pytest.approx(given / given.mean() * taken / taken.mean())
    state[f"{INNER}.weight"][2] *= 100  # which no output shows, behind a normalisation
    assert path_scores(GRAPH.groups[INNER], state).argmax() == 2


def test_path_takes_all_that_give_and_all_that_take_a_trunk() -> None:
    state = weights()
    before = path_scores(GRAPH.groups[TRUNK], state)
    for member in GRAPH.groups[TRUNK].members:
        if member.role in ("rows", "columns"):
            louder = {name: np.array(array) for name, array in state.items()}
            np.moveaxis(louder[member.tensor], member.axis, 0)[member.units == 3] *= 10
            assert path_scores(GRAPH.groups[TRUNK], louder)[3] > before[3] * 1.1, member.tensor


def test_path_counts_a_channel_that_hardly_varies_for_less() -> None:
    state = weights()
    norm = f"{INNER[:-5]}.norm"
    state[f"{norm}.weight"][:], state[f"{norm}.bias"][:] = 1.0, 0.0
    before = path_scores(GRAPH.groups[INNER], state)
    state[f"{norm}.weight"][:2] = [0.9, 0.04]  # of a mean of about 0.8, so that a twentieth is half of the limit
    found = path_scores(GRAPH.groups[INNER], state)
    assert found[[0, 2, 3, 4]] == pytest.approx(before[[0, 2, 3, 4]])
    assert found[1] == pytest.approx(before[1] * 0.04 * 5 / 3.94 / 0.1)


def test_first_is_the_norm_of_one_kernel_as_paddleslim_has_it() -> None:
    state = weights()
    found = scores(GRAPH, state, "l1", "first")[INNER]
    assert found == pytest.approx(np.abs(state[f"{INNER}.weight"]).sum(axis=(1, 2, 3)))


@pytest.mark.parametrize("aggregate", ["mean", "flow", "max"])
def test_scores_do_not_see_a_scale_that_batch_norm_takes_away(aggregate: str) -> None:
    state = weights()
    before = scores(GRAPH, state, "l2", aggregate)[INNER]
    state[f"{INNER}.weight"][2] *= 100
    state[f"{INNER[:-5]}.norm._mean"][2] *= 100
    state[f"{INNER[:-5]}.norm._variance"][2] *= 100**2
    assert scores(GRAPH, state, "l2", aggregate)[INNER] == pytest.approx(before, rel=1e-3)


def test_the_deviation_behind_a_relu_is_that_of_drawn_numbers() -> None:
    drawn = np.random.default_rng(0).standard_normal(400_000)
    deviation, mean = np.array([1.0, 0.5, 2.0, 0.1]), np.array([0.0, 1.0, -1.5, -2.0])
    expected = np.maximum(drawn[:, None] * deviation + mean, 0).std(axis=0)
    assert rectified_deviation(deviation, mean) == pytest.approx(expected, rel=0.01, abs=1e-6)


def test_members_are_taken_relative_to_their_mean_and_then_together() -> None:
    state = weights()
    kernel, taker = state[f"{INNER}.weight"], state["stages.0.0.branch.1.conv.weight"]
    kernel[:], taker[:] = 0.0, 0.0
    kernel[:, 0, 0, 0] = [1, 2, 3, 4, 5]
    taker[0, :, 0, 0] = [500, 400, 300, 200, 100]
    for name in ("0", "1"):  # normalisations that change nothing
        norm = f"stages.0.0.branch.{name}.norm"
        state[f"{norm}.weight"][:], state[f"{norm}.bias"][:] = 1.0, 0.0
        state[f"{norm}._mean"][:], state[f"{norm}._variance"][:] = 0.0, 1.0 - 1e-5
    found = {how: scores(GRAPH, state, "l1", how)[INNER] for how in ("mean", "max", "first")}
    assert found["mean"] == pytest.approx(np.ones(5))
    assert found["max"] == pytest.approx(np.array([5, 4, 3, 4, 5]) / 3)
    assert found["first"] == pytest.approx(np.arange(1.0, 6.0))
    distances = [sum(abs(one - other) for other in range(1, 6)) for one in range(1, 6)]
    assert scores(GRAPH, state, "fpgm", "first")[INNER] == pytest.approx(distances)


def test_bn_scale_is_gamma() -> None:
    state = weights()
    gamma = np.abs(state[f"{INNER[:-5]}.norm.weight"])
    assert scores(GRAPH, state, "bn_scale", "first")[INNER] == pytest.approx(gamma)
    assert scores(GRAPH, state, "bn_scale")[INNER] == pytest.approx(gamma / gamma.mean())


def test_random_is_repeated_by_its_seed() -> None:
    one, same, other = (scores(GRAPH, {}, "random", seed=seed)[TRUNK].tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_unknown_methods_are_refused() -> None:
    with pytest.raises(RequestError, match="no importance 'l3' by 'flow'"):
        scores(GRAPH, {}, "l3")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [TRUNK, INNER, GROUPED])
def test_taylor_is_the_derivative_by_a_factor_behind_every_normalisation(name: str) -> None:
    checkpoint = random_checkpoint(SPEC, np.random.default_rng(3))
    state = {key: array.astype(np.float64) for key, array in checkpoint.weights.items()}
    images, labels = np.random.default_rng(1).normal(size=(4, 3, 8, 8)), np.array([0, 1, 2, 0])

    def loss(values: dict[str, np.ndarray]) -> paddle.Tensor:
        model.set_state_dict({key: paddle.to_tensor(array) for key, array in values.items()})
        return F.cross_entropy(model(paddle.to_tensor(images)), paddle.to_tensor(labels))

    model = model_of(checkpoint)
    model.to(dtype="float64")
    loss(state).backward()
    gradients = {key: tensor.grad.numpy() for key, tensor in model.named_parameters() if tensor.trainable}
    found = slopes(GRAPH, state, gradients)
    for unit in range(GRAPH.groups[name].units):
        gone = masked(state, GRAPH, {name: [unit]})
        normed = [m.tensor for m in GRAPH.groups[name].members if m.role in ("scale", "shift")]
        step = {key: state[key] + 1e-5 * (state[key] - gone[key]) if key in normed else state[key] for key in state}
        measured = (float(loss(step)) - float(loss(state))) / 1e-5
        assert found[name].sum(axis=0)[unit] == pytest.approx(measured, abs=1e-4)
    assert taylor_scores([found, found])[name] == pytest.approx(np.abs(found[name].sum(axis=0)))


def test_taylor_is_taken_over_batches_by_its_square_and_over_members_by_their_sum() -> None:
    batches = [{"group": np.array([[3.0, 1.0], [-1.0, 1.0]])}, {"group": np.array([[-4.0, 1.0], [0.0, 0.0]])}]
    assert taylor_scores(batches, "flow")["group"] == pytest.approx([10**0.5, 2.5**0.5])
    assert taylor_scores(batches, "max")["group"] == pytest.approx([12.5**0.5, 1.0])
    assert taylor_scores(batches, "first")["group"] == pytest.approx([12.5**0.5, 1.0])
