"""Highway and sparse gated networks: counts by hand, their gates, learning and saving."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from counted import counted
from fixed_batch import batch, both_answers, losses

from ppresnet.layers.gated_blocks import HighwayBlock, SparseGatedBlock
from ppresnet.layers.gates import open_shares
from ppresnet.models import build, cost, create
from ppresnet.spec import GatedSpec, HighwayGateSpec, SparseGateSpec, spec_from_dict, spec_of

RESNET20 = (269_722, 40_551_040)
RATES = {"cifar_highway20": 0.2, "cifar_sparse_gated20": 0.05}  # the gates of a highway start nearly closed
SHAPES = ((16, 16, 32), *((16, 16, 32),) * 2, (16, 32, 16), *((32, 32, 16),) * 2, (32, 64, 8), *((64, 64, 8),) * 2)


def _gates(name: str, gate: HighwayGateSpec | SparseGateSpec) -> GatedSpec:
    spec = spec_of(name)
    assert isinstance(spec, GatedSpec)
    stages = tuple(tuple(block.model_copy(update={"gate": gate}) for block in stage) for stage in spec.stages)
    return spec.model_copy(update={"stages": stages})


def test_a_highway_is_resnet20_with_a_3x3_gate_for_each_block() -> None:
    price = cost(spec_of("cifar_highway20"))
    assert price.params == RESNET20[0] + sum(9 * before * after + after for before, after, _ in SHAPES)
    assert price.macs == RESNET20[1] + sum(9 * before * after * size**2 for before, after, size in SHAPES)


def test_a_sparse_gated_network_is_resnet20_with_a_square_matrix_for_each_skip() -> None:
    price = cost(spec_of("cifar_sparse_gated20"))
    assert price.params == RESNET20[0] + sum(width**2 + width for _, width, _ in SHAPES)
    assert price.macs == RESNET20[1] + sum(width**2 for _, width, _ in SHAPES)


@pytest.mark.parametrize(
    "gate", [HighwayGateSpec(kernel=1), HighwayGateSpec(), SparseGateSpec(), SparseGateSpec(over="pixel")]
)
def test_cost_equals_a_count_by_running(gate: HighwayGateSpec | SparseGateSpec) -> None:
    spec = _gates("cifar_highway20", gate)
    price = cost(spec, 17)
    assert (price.params, price.macs) == counted(build(spec), 17, 17)


@pytest.mark.parametrize("name", list(RATES))
def test_twenty_steps_halve_the_loss_and_a_checkpoint_keeps_the_answer(name: str, tmp_path: Path) -> None:
    paddle.seed(5)
    net = create(name, num_classes=5)
    course = losses(net, 16, RATES[name])
    assert course[-1] <= course[0] / 2, course
    np.testing.assert_array_equal(*both_answers(net, 16, tmp_path))


def test_the_share_of_open_gates_can_be_read_for_each_block() -> None:
    net = create("cifar_sparse_gated20")
    net.eval()
    net(batch(net, 16)[0])
    shares = open_shares(net)
    assert len(shares) == 9
    assert all(0 < share <= 1 for share in shares.values())


@pytest.mark.parametrize(
    ("name", "kind"), [("cifar_highway20", HighwayBlock), ("cifar_sparse_gated20", SparseGatedBlock)]
)
def test_overrides_reach_the_network(name: str, kind: type) -> None:
    net = create(name, act="gelu", norm="group", drop_path=0.4, zero_init_gamma=True)
    blocks = [block for stage in net.stages for block in stage]
    assert len(blocks) == 9 and all(isinstance(block, kind) for block in blocks)
    rates = [getattr(block.drop_path, "rate", 0.0) for block in blocks]
    np.testing.assert_allclose(rates, np.arange(9) * 0.4 / 8)
    assert all(not block.branch[-1].norm.weight.numpy().any() for block in blocks)
    assert not any(isinstance(layer, paddle.nn.ReLU | paddle.nn.BatchNorm2D) for layer in net.sublayers())


@pytest.mark.parametrize("name", list(RATES))
def test_spec_survives_json(name: str) -> None:
    spec = spec_of(name, num_classes=3)
    assert spec_from_dict(spec.model_dump(mode="json")) == spec
