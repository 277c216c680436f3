"""Zeros and dead channels against numpy, and each pass counted once whoever computes it."""

import numpy as np
import paddle
import pytest
from paddle import Tensor, nn

from ppresnet import onednn
from ppresnet.layers import ConvNorm
from ppresnet.models import create
from ppresnet.train.monitors.protocol import Numbers
from ppresnet.train.monitors.relus import Relus, relus_of
from ppresnet.train.recompute import recompute_blocks

Told = list[tuple[str, int, Numbers]]


class Two(nn.Layer):
    """A linear layer with a ReLU of channels in `stem`, one of tokens in `head`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(4, 5), nn.ReLU())

    def forward(self, x_NC: Tensor) -> Tensor:
        x_NLC = self.stem(x_NC).unsqueeze(1).tile([1, 2, 1])
        return self.head(x_NLC)


def test_shares_are_those_of_numpy_over_the_period() -> None:
    paddle.seed(3)
    model, told = Two(), Told()
    model.stem[0].bias.set_value(paddle.to_tensor([0.0, -100.0, 0.0, 0.5]))
    model.head[0].bias.set_value(paddle.to_tensor([-100.0, 0.0, -100.0, 0.0, 0.3]))
    relus = Relus(model, 2, lambda *numbers: told.append(numbers))
    rng, stem, head = np.random.default_rng(0), [], []
    for step in (1, 2):
        x = rng.standard_normal((6, 3)).astype(np.float32)
        model(paddle.to_tensor(x))
        hidden = np.maximum(x @ model.stem[0].weight.numpy() + model.stem[0].bias.numpy(), 0)
        out = np.maximum(hidden @ model.head[0].weight.numpy() + model.head[0].bias.numpy(), 0)
        stem, head = [*stem, hidden], [*head, out, out]  # two tokens
        relus.on_step(step)
    (kind, step, sparsity), (other, _, dead) = told
    assert (kind, other, step) == ("sparsity", "dead_relus", 2)
    outputs = {"stem": np.concatenate(stem), "head": np.concatenate(head)}
    for part, array in outputs.items():
        assert sparsity[part] == pytest.approx((array == 0).mean(), abs=1e-12)
        assert dead[part] == pytest.approx((array == 0).all(0).mean(), abs=1e-12)
    assert dead["stem"] >= 0.25 and dead["head"] >= 0.4
    zeros = sum((array == 0).sum() for array in outputs.values())
    assert sparsity["all"] == pytest.approx(zeros / sum(array.size for array in outputs.values()), abs=1e-12)
    assert relus.shares() == {}  # a new period


def test_only_passes_with_a_gradient_count_and_none_after_closing() -> None:
    model = Two()
    relus = Relus(model, 1, lambda *_: None)
    x = paddle.ones([2, 3])
    with paddle.no_grad():
        model(x)
    assert relus.shares() == {}
    relus.close()
    model(x)
    assert relus.shares() == {}


def test_every_relu_of_a_network_is_found_once() -> None:
    found = relus_of(create("cifar_resnet20"))
    assert len(found) == 19
    assert sum(isinstance(layer, ConvNorm) for layer in found.values()) == 10  # the stem, and one a block
    assert relus_of(create("cifar_resnet20", act="gelu")) == {}


def counted(every: int, setting: str) -> tuple[dict[str, dict[str, float]], dict[str, int]]:
    """Return the shares and outputs of a step on a ResNet, with recompute and with either's kernels."""
    paddle.seed(0)
    model = create("cifar_resnet20")
    recompute_blocks(model, every)
    model.train()
    relus = Relus(model, 1, lambda *_: None)
    images_NCHW = paddle.randn([4, model.spec.in_channels, 8, 8])
    try:
        onednn.enable(setting, "float32", [ConvNorm])  # type: ignore[arg-type]
        model(images_NCHW).sum().backward()
    finally:
        onednn.disable()
    return relus.shares(), relus._outputs


def test_recompute_and_other_kernels_count_the_same() -> None:
    shares, outputs = counted(0, "disabled")
    assert 0.2 < shares["sparsity"]["all"] < 0.8
    assert len(outputs) == 19 and set(shares["dead_relus"]) == {"stem", "stages.0", "stages.1", "stages.2", "all"}
    assert counted(2, "disabled") == (shares, outputs)
    ours, theirs = counted(2, "auto")
    assert theirs == outputs
    for kind, parts in shares.items():
        for part, share in parts.items():
            assert ours[kind][part] == pytest.approx(share, abs=2e-3), (kind, part)
