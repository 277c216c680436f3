"""Imports into networks with other classes and other input channels."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn

from ppresnet.errors import ConfigError
from ppresnet.models import build, import_weights
from ppresnet.spec import BlockSpec, ResNetSpec, StemSpec


def network(classes: int = 5, channels: int = 3, kind: str = "cifar") -> nn.Layer:
    """A network as small as can be; its tensors have torchvision's names when exported."""
    block = BlockSpec(kind="basic", widths=(4, 4), skip="identity")
    stem = StemSpec(kind=kind, width=4)
    return build(ResNetSpec(name="small", num_classes=classes, in_channels=channels, stem=stem, stages=((block,),)))


def state_of(model: nn.Layer, linear: str = "fc") -> dict[str, np.ndarray]:
    """The tensors as PyTorch would name and lay them out, written down by hand."""
    ours = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    names = {
        "stem.conv": "conv1",
        "stem.norm": "bn1",
        "stages.0.0.branch.0.conv": "layer1.0.conv1",
        "stages.0.0.branch.0.norm": "layer1.0.bn1",
        "stages.0.0.branch.1.conv": "layer1.0.conv2",
        "stages.0.0.branch.1.norm": "layer1.0.bn2",
        "head.fc": linear,
    }
    ends = {"_mean": "running_mean", "_variance": "running_var"}
    state = {}
    for name, array in ours.items():
        layer, _, end = name.rpartition(".")
        theirs = f"{names[layer]}.{ends.get(end, end)}"
        state[theirs] = array.T if theirs == f"{linear}.weight" else array
    return state


def logits(model: nn.Layer, image: np.ndarray) -> np.ndarray:
    model.eval()
    with paddle.no_grad():
        return np.asarray(model(paddle.to_tensor(image)))


IMAGE = np.random.default_rng(1).standard_normal((2, 1, 8, 8)).astype(np.float32)


@pytest.mark.parametrize(("source", "linear"), [("torchvision", "fc"), ("pytorch_cifar", "linear")])
def test_the_same_network(source: str, linear: str) -> None:
    original, model = network(), network()
    report = import_weights(model, state_of(original, linear), source)
    image = IMAGE.repeat(3, axis=1)
    np.testing.assert_array_equal(logits(model, image), logits(original, image))
    assert (report.reinitialised, report.adapted, report.unmapped) == ((), (), ())
    assert dict(report.mapped)[f"{linear}.weight"] == "head.fc.weight"


def test_another_class_count_draws_the_head_anew_and_says_so() -> None:
    original, model = network(classes=7), network(classes=5)
    old_head = model.head.fc.weight.numpy()
    report = import_weights(model, state_of(original), "torchvision")
    assert report.reinitialised == (("fc.weight", "head.fc.weight"), ("fc.bias", "head.fc.bias"))
    assert len(report.mapped) == len(original.state_dict()) - 2
    np.testing.assert_array_equal(model.stem.conv.weight.numpy(), original.stem.conv.weight.numpy())
    head = model.head.fc.weight.numpy()
    assert not np.array_equal(head, old_head)
    assert 0 < np.abs(head).max() <= 0.5, "uniform up to 1 / sqrt(4)"


@pytest.mark.parametrize("wanted", [1, 6])
def test_a_grey_image_gives_what_it_gave(wanted: int) -> None:
    original, model = network(channels=3), network(channels=wanted)
    report = import_weights(model, state_of(original), "torchvision")
    same = logits(original, IMAGE.repeat(3, axis=1))
    np.testing.assert_allclose(logits(model, IMAGE.repeat(wanted, axis=1)), same, rtol=1e-4, atol=1e-5)
    (sentence,) = report.adapted
    assert "the 3 input channels of 'conv1.weight' were" in sentence
    assert ("conv1.weight", "stem.conv.weight") in report.mapped


def test_one_channel_is_repeated() -> None:
    original, model = network(channels=1), network(channels=3)
    report = import_weights(model, state_of(original), "torchvision")
    np.testing.assert_allclose(logits(model, IMAGE.repeat(3, axis=1)), logits(original, IMAGE), rtol=1e-4, atol=1e-5)
    (sentence,) = report.adapted
    assert "the 1 input channels of 'conv1.weight' were repeated in turn and scaled by 1/3 for 3" in sentence


def test_three_channels_are_repeated_in_turn_for_four() -> None:
    original, model = network(channels=3), network(channels=4)
    import_weights(model, state_of(original), "torchvision")
    kernel, old = model.stem.conv.weight.numpy(), original.stem.conv.weight.numpy()
    for channel in range(4):
        np.testing.assert_allclose(kernel[:, channel], old[:, channel % 3] * 0.75, rtol=1e-6)


def without(state: dict[str, np.ndarray], name: str) -> None:
    del state[name]


def cut(state: dict[str, np.ndarray], name: str) -> None:
    state[name] = state[name][:-1]


def widened(state: dict[str, np.ndarray], name: str) -> None:
    state[name] = np.repeat(state[name], 2, axis=1)


def whole_numbers(state: dict[str, np.ndarray], name: str) -> None:
    state[name] = state[name].astype(np.int64)


PROBLEMS = [
    (without, "bn1.running_var", "missing tensor 'bn1.running_var' (for 'stem.norm._variance' [4])"),
    (cut, "layer1.0.bn2.bias", "'layer1.0.bn2.bias' has shape [3]; 'stages.0.0.branch.1.norm.bias'"),
    (cut, "fc.bias", "'fc.bias' has shape [4]; 'head.fc.bias' of the model needs [5]"),
    (widened, "fc.weight", "'fc.weight' has shape [8, 5]; 'head.fc.weight' of the model needs [4, 5]"),
    (
        widened,
        "layer1.0.conv1.weight",
        "[4, 8, 3, 3]; 'stages.0.0.branch.0.conv.weight' of the model needs [4, 4,",
    ),
    (whole_numbers, "bn1.bias", "'bn1.bias' has elements of int64"),
]


@pytest.mark.parametrize(("spoil", "name", "sentence"), PROBLEMS)
def test_what_does_not_fit_is_refused_and_the_network_stays(spoil, name: str, sentence: str) -> None:
    model, state = network(), state_of(network())
    spoil(state, name)
    before = {one: tensor.numpy() for one, tensor in model.state_dict().items()}
    with pytest.raises(ConfigError) as caught:
        import_weights(model, state, "torchvision")
    assert sentence in str(caught.value)
    for one, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[one])


def test_a_list_of_problems_has_an_end() -> None:
    state = {f"extra.{i}": np.zeros(1, np.float32) for i in range(100)} | state_of(network())
    with pytest.raises(ConfigError, match="and 80 more such tensors"):
        import_weights(network(), state, "torchvision")


def test_wider_numbers_are_said(tmp_path: Path) -> None:
    state = {name: array.astype(np.float64) for name, array in state_of(network()).items()}
    report = import_weights(network(), state, "torchvision")
    assert "'head.fc.bias': float64 became float32" in report.adapted
