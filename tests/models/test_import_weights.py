"""Imported weights against golden logits of torchvision and against `paddle.vision`."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paddle
import pytest

from ppresnet.errors import ConfigError
from ppresnet.models import create, import_weights
from ppresnet.models.names import convention_of

GOLDEN = Path(__file__).parent / "golden"


def _tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the weights that the golden logits were made with: a function of the name and the shape alone."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    values = np.random.Generator(np.random.PCG64(seed)).standard_normal(shape)
    if len(shape) >= 2:
        values *= np.sqrt(2.0 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        values = 1.0 + 0.1 * np.minimum(np.abs(values), 5.0)
    else:
        values = 0.1 * values + (1.0 if name.endswith("weight") else 0.0)
    return values.astype(np.float32)


def _state(names: dict[str, list[int]]) -> dict[str, np.ndarray]:
    return {name: _tensor(name, tuple(shape)) for name, shape in names.items()}


def _image() -> np.ndarray:
    return np.random.Generator(np.random.PCG64(7)).standard_normal((2, 3, 224, 224)).astype(np.float32)


def _torchvision_shapes(model: paddle.nn.Layer) -> dict[str, list[int]]:
    """Return torchvision's names and shapes, taken from `paddle.vision`, which has the same architectures."""
    shapes = {}
    for name, tensor in model.state_dict().items():
        name = name.replace("._mean", ".running_mean").replace("._variance", ".running_var")
        shapes[name] = list(tensor.shape)[::-1] if name == "fc.weight" else list(tensor.shape)
    return shapes


TWINS: dict[str, Callable[[], paddle.nn.Layer]] = {
    "resnet18": paddle.vision.models.resnet18,
    "resnet50": paddle.vision.models.resnet50,
    "resnext50_32x4d": paddle.vision.models.resnext50_32x4d,
}


@pytest.mark.parametrize("name", list(TWINS))
def test_golden_logits_of_torchvision(name: str) -> None:
    model = create(name)
    report = import_weights(model, _state(_torchvision_shapes(TWINS[name]())), "torchvision")
    assert len(report.mapped) == len(model.state_dict())
    model.eval()
    with paddle.no_grad():
        logits = model(paddle.to_tensor(_image())).numpy()
    golden = np.load(GOLDEN / f"{name}.npy", allow_pickle=False)
    assert np.abs(logits - golden).max() <= 1e-4 * np.abs(golden).max()


# Whose names and logits they are; the names and shapes of every tensor stand in `index.json`.
PUBLISHED_BY = {
    "resnet50": "timm",
    "resnetv2_50": "timm",
    "densenet121": "torchvision",
    "lcnet_100": "timm",
    "seresnet50": "timm",
    "vit_tiny_patch16_224": "timm",
    "vit_small_r26_s32_224": "timm",
}


@pytest.mark.parametrize("name", list(PUBLISHED_BY))
def test_golden_logits_under_the_published_names(name: str, shared: Path) -> None:
    published = json.loads((shared / "reference/index.json").read_text(encoding="utf-8"))[name]
    model = create(name)
    report = import_weights(model, _state(dict(published["state_dict"])), PUBLISHED_BY[name])
    assert len(report.mapped) == len(model.state_dict())
    model.eval()
    with paddle.no_grad():
        logits = model(paddle.to_tensor(_image())).numpy()
    golden = np.load(shared / "reference" / published["logits_file"], allow_pickle=False)
    assert np.abs(logits - golden).max() <= 1e-4 * np.abs(golden).max()


def test_paddle_vision_weights_give_its_own_logits() -> None:
    twin = paddle.vision.models.resnet18(num_classes=5)
    twin.eval()
    model = create("resnet18", num_classes=5)
    import_weights(model, {name: tensor.numpy() for name, tensor in twin.state_dict().items()}, "paddle_vision")
    model.eval()
    image = paddle.randn([2, 3, 64, 64])
    with paddle.no_grad():
        np.testing.assert_allclose(model(image).numpy(), twin(image).numpy(), rtol=1e-4, atol=1e-5)


def test_every_tensor_is_accounted_for_and_nothing_is_loaded_on_error() -> None:
    state = _state(_torchvision_shapes(TWINS["resnet18"]()))
    state["fc.bias"] = state["fc.bias"][:7]
    state["fc.extra"] = np.zeros(1, np.float32)
    del state["bn1.weight"]
    model = create("resnet18")
    before = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    with pytest.raises(ConfigError) as caught:
        import_weights(model, state, "torchvision")
    assert "missing tensor 'bn1.weight'" in str(caught.value)
    assert "'fc.bias' has shape [7]; 'head.fc.bias' of the model needs [1000]" in str(caught.value)
    assert "unexpected tensor 'fc.extra' [1]" in str(caught.value)
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


def test_counters_of_torch_are_left_out_and_listed() -> None:
    state = _state(_torchvision_shapes(TWINS["resnet18"]()))
    state["bn1.num_batches_tracked"] = np.zeros((), np.int64)
    assert import_weights(create("resnet18"), state, "torchvision").unmapped == ("bn1.num_batches_tracked",)


def test_unknown_source_is_named() -> None:
    with pytest.raises(ConfigError, match="unknown weight source 'keras'"):
        import_weights(create("cifar_resnet20"), {}, "keras")


def test_names_of_old_torchvision_files_are_known() -> None:
    model = create("densenet121", input_size=32)
    convention = convention_of(model.spec, "torchvision")
    own = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    own["head.fc.weight"] = own["head.fc.weight"].T
    state = {convention.theirs(name): array for name, array in own.items()}
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): array for name, array in state.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    assert import_weights(model, old, "torchvision") == import_weights(model, state, "torchvision")
