"""Recompute must change memory and time, and nothing else."""

from collections.abc import Iterator

import numpy as np
import paddle
import pytest
from paddle import nn

from ppresnet import onednn
from ppresnet.errors import ConfigError
from ppresnet.models import build, freeze
from ppresnet.spec import ModelSpec, spec_of
from ppresnet.train import recompute
from ppresnet.train.kernels import COMPOSITES
from ppresnet.train.recompute import kept_statistics, recompute_blocks

SPEC = spec_of("cifar_resnet20", in_channels=3, input_size=16, dropout=0.2, drop_path=0.3)
FUSED = SPEC.model_copy(update={"drop_path": 0.0})  # whose blocks the kernels run as one


@pytest.fixture(params=["onednn", "paddle"])
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    onednn.enable("auto" if request.param == "onednn" else "disabled", **COMPOSITES)
    yield request.param
    onednn.disable()


def network(every: int, spec: ModelSpec = SPEC) -> nn.Layer:
    paddle.seed(3)
    model = build(spec)
    recompute_blocks(model, every)
    model.train()
    return model


def step(model: nn.Layer) -> dict[str, np.ndarray]:
    """Return the logits, every gradient and the whole state after one step."""
    paddle.seed(8)
    images = np.random.default_rng(1).standard_normal((4, 3, 16, 16)).astype("float32")
    logits = model(paddle.to_tensor(images))
    nn.functional.cross_entropy(logits, paddle.to_tensor([1, 2, 3, 4])).backward()
    found = {"logits": logits.numpy()}
    found |= {f"gradient {name}": p.grad.numpy() for name, p in model.named_parameters() if not p.stop_gradient}
    return found | {name: tensor.numpy() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("spec", [SPEC, FUSED], ids=["drop path", "fused"])
@pytest.mark.parametrize("every", [1, 2, 100])
def test_gradients_masks_and_statistics_are_bit_equal(every: int, spec: ModelSpec, kernels: str) -> None:
    plain, again = step(network(0, spec)), step(network(every, spec))
    assert plain.keys() == again.keys()
    for name, values in plain.items():
        np.testing.assert_array_equal(again[name], values, err_msg=name)


def test_blocks_really_run_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    own = recompute._run
    monkeypatch.setattr(recompute, "_run", lambda blocks, x: passes.append(len(blocks)) or own(blocks, x))
    model = network(2)
    step(model)
    assert passes == [2, 1] * 3 + [2] + [1, 2] * 2  # the last segment keeps what it has
    passes.clear()
    model.eval()
    model(paddle.zeros([1, 3, 16, 16]))
    assert passes == [2, 1] * 3


@pytest.mark.parametrize(("spared", "again"), [(0, 6), (1, 5), (3, 3), (9, 0)])
def test_the_last_segments_are_spared(spared: int, again: int, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    own = recompute._run
    monkeypatch.setattr(recompute, "_run", lambda blocks, x: passes.append(len(blocks)) or own(blocks, x))
    plain = step(network(0))
    model = network(0)
    recompute_blocks(model, 2, spared)
    found = step(model)
    assert passes == [2, 1] * 3 + ([2, 1] * 3)[: 6 - spared if spared < 6 else 0][::-1] and len(passes) == 6 + again
    for name, values in plain.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_statistics_would_move_twice_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext

    plain = step(network(0))
    monkeypatch.setattr(recompute, "kept_statistics", lambda _: nullcontext())
    again = step(network(1))
    moved = [name for name, values in plain.items() if (again[name] != values).any()]
    assert moved and all(name.endswith(("_mean", "_variance")) for name in moved)


def test_momentum_is_put_back_after_an_error() -> None:
    norm = nn.BatchNorm2D(4, momentum=0.7)
    with pytest.raises(ZeroDivisionError), kept_statistics([nn.Sequential(norm)]):
        assert norm._momentum == 1.0
        raise ZeroDivisionError
    assert norm._momentum == 0.7


def test_a_network_without_stages_is_refused() -> None:
    model = nn.Linear(2, 2)
    model.spec = SPEC
    with pytest.raises(ConfigError, match=r"recompute: expected a network of stages of blocks"):
        recompute_blocks(model, 1)


def test_blocks_behind_frozen_stages_are_recomputed_and_frozen_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    own = recompute._run
    found = []
    for every in (0, 2):
        model = network(every)
        freeze(model, stages=1)
        monkeypatch.setattr(recompute, "_run", lambda blocks, x: passes.append(len(blocks)) or own(blocks, x))
        found.append(step(model))
    assert passes == [2, 1] * 3 + [2] + [1, 2]
    assert found[0].keys() == found[1].keys() and len(found[0]) > 100
    for name, values in found[0].items():
        np.testing.assert_array_equal(found[1][name], values, err_msg=name)
