"""What is measured at a block, against the same numbers computed by hand, for every kind of block."""

import math

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from ppresnet.errors import RequestError
from ppresnet.layers import ConvNorm
from ppresnet.models import create
from ppresnet.train.flow import BlockFlow, Flow, measure_flow

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((12, 3, 16, 16)).astype(np.float32)
LABELS = RNG.integers(0, 10, 12)


def measured(model: nn.Layer, parts: int = 1) -> Flow:
    return measure_flow(model, zip(np.split(IMAGES, parts), np.split(LABELS, parts), strict=True))


def rms(array: np.ndarray) -> float:
    return float(np.sqrt(np.square(array, dtype=np.float64).mean()))


def by_name(flow: Flow) -> dict[str, BlockFlow]:
    return {block.block: block for block in flow.blocks}


def test_a_residual_block_by_hand() -> None:
    paddle.seed(1)
    model, twin = create("cifar_resnet20"), create("cifar_resnet20")
    twin.set_state_dict(model.state_dict())
    twin.train()
    x = twin.stem(paddle.to_tensor(IMAGES))
    block = twin.stages[0][0]
    added = block.branch(x)
    out = F.relu(x + added)
    out.retain_grads()
    rest = out
    for layer in [*list(twin.stages[0])[1:], *twin.stages[1], *twin.stages[2]]:
        rest = layer(rest)
    loss = F.cross_entropy(twin.head(rest), paddle.to_tensor(LABELS), reduction="sum")
    loss.backward()

    flow = measured(model)
    found = by_name(flow)["stages.0.0"]
    assert flow.loss == pytest.approx(float(loss) / 12, rel=1e-5)
    assert (found.kind, found.skip) == ("BasicBlock", "IdentitySkip")
    assert found.input_rms == pytest.approx(rms(x.numpy()), rel=1e-5)
    assert found.output_rms == pytest.approx(rms(out.numpy()), rel=1e-5)
    assert found.change == pytest.approx(rms(added.numpy()) / rms(x.numpy()), rel=1e-5)
    gradients = out.grad.numpy().reshape(12, -1).astype(np.float64)
    assert found.gradient == pytest.approx(math.sqrt(np.square(gradients).sum(1).mean()), rel=1e-3)
    weights = [p.grad.numpy() / 12 for p in block.parameters() if p.trainable]
    norm = math.sqrt(sum(float(np.square(w, dtype=np.float64).sum()) for w in weights))
    assert found.weight_gradient == pytest.approx(norm, rel=1e-3)
    assert 0 < (found.zeros or 0) < 1 and found.dead_relus is not None


def test_a_branch_of_zeros_adds_nothing() -> None:
    paddle.seed(1)
    flow = by_name(measured(create("cifar_resnet20", zero_init_gamma=True)))
    assert all(block.change == 0.0 for block in flow.values())
    assert all(block.change and block.change > 0 for block in by_name(measured(create("cifar_resnet20"))).values())


def test_dead_channels_are_told_by_the_block_they_are_in() -> None:
    paddle.seed(1)
    model = create("cifar_resnet20")
    unit: ConvNorm = model.stages[1][2].branch[0]
    unit.norm.bias.set_value(paddle.full_like(unit.norm.bias, -100.0))
    dead = {name: block.dead_relus for name, block in by_name(measured(model)).items()}
    assert dead["stages.1.2"] == pytest.approx(0.5)  # its other ReLU has as many channels
    assert max(share or 0.0 for name, share in dead.items() if name != "stages.1.2") < 0.1


def test_gradients_vanish_in_a_deep_plain_network_and_not_with_skips() -> None:
    def first_to_last(name: str) -> float:
        paddle.seed(1)
        blocks = measured(create(name)).blocks
        return blocks[0].weight_gradient / blocks[-1].weight_gradient

    plain, residual = first_to_last("cifar_plain56"), first_to_last("cifar_resnet56")
    assert max(plain, 1 / plain) > 3 * max(residual, 1 / residual)


@pytest.mark.parametrize(
    ("name", "kind", "skip"),
    [
        ("cifar_preact_resnet110", "PreActResidual", "IdentitySkip"),
        ("cifar_plain20", "PlainBlock", None),
        ("cifar_densenet_bc100_12", "DenseLayer", "DenseSkip"),
        ("cifar_highway20", "HighwayBlock", "IdentitySkip"),
        ("cifar_odenet", "ODEBlock", "identity"),
    ],
)
def test_every_kind_of_block(name: str, kind: str, skip: str | None) -> None:
    paddle.seed(1)
    blocks = measured(create(name, in_channels=3)).blocks
    own = [block for block in blocks if block.kind == kind]
    assert own and skip in {block.skip for block in own}
    for block in own:
        assert block.input_rms > 0 and block.output_rms > 0 and block.gradient > 0 and block.weight_gradient > 0
        assert (block.change is None) == (skip is None)
        assert block.change is None or 0 < block.change < 100


def test_batches_add_up_and_nothing_stays_behind() -> None:
    paddle.seed(1)
    model = create("cifar_resnet20", norm="group")  # normalises each image by itself
    whole, parts = by_name(measured(model)), by_name(measured(model, parts=3))
    for name, block in whole.items():
        for key in ("input_rms", "output_rms", "change", "gradient", "weight_gradient", "zeros"):
            assert getattr(parts[name], key) == pytest.approx(getattr(block, key), rel=1e-3), (name, key)
    assert not any(layer._forward_post_hooks or layer._forward_pre_hooks for layer in model.sublayers())


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(RequestError, match="expected images"):
        measure_flow(create("cifar_resnet20"), [])
