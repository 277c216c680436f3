"""Names of PaddleClas and of PyTorch's CIFAR networks, against twins that are built as those libraries build them."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from ppresnet.errors import ConfigError
from ppresnet.models import build, create, import_weights
from ppresnet.spec import BlockSpec, ResNetSpec, StemSpec


class ConvBn(nn.Layer):
    def __init__(self, channels: int, width: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2D(channels, width, kernel, stride, padding=kernel // 2, bias_attr=False)
        self.bn = nn.BatchNorm(width)  # not BatchNorm2D, as there

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.bn(self.conv(x))


class ClasBlock(nn.Layer):
    def __init__(self, channels: int, width: int, stride: int, bottleneck: bool, short: bool) -> None:
        super().__init__()
        out = width * 4 if bottleneck else width
        self.conv0 = ConvBn(channels, width, 1 if bottleneck else 3, 1 if bottleneck else stride)
        self.conv1 = ConvBn(width, width, 3, stride if bottleneck else 1)
        if bottleneck:
            self.conv2 = ConvBn(width, out, 1)
        if short:
            self.short = ConvBn(channels, out, 1, stride)
        self.parts = 3 if bottleneck else 2
        self.is_short = short

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        identity = self.short(x) if self.is_short else x
        for part in range(self.parts):
            x = getattr(self, f"conv{part}")(x)
            x = F.relu(x) if part < self.parts - 1 else x
        return F.relu(x + identity)


class Clas(nn.Layer):
    """PaddleClas' ResNet of version `vb`: the blocks of all stages in one list, a projection first in each stage."""

    def __init__(self, depths: tuple[int, ...], bottleneck: bool, base: int, stem: int = 1) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBn(3, base, 7, 2), *(ConvBn(base, base, 3) for _ in range(stem - 1)))
        blocks, channels = [], base
        for stage, depth in enumerate(depths):
            width = base * 2**stage
            for index in range(depth):
                stride = 2 if index == 0 and stage else 1
                blocks.append(ClasBlock(channels, width, stride, bottleneck, short=index == 0))
                channels = width * 4 if bottleneck else width
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(channels, 6)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        return self.fc(F.adaptive_avg_pool2d(self.blocks(x), 1).flatten(1))


def enlivened(twin: nn.Layer) -> dict[str, np.ndarray]:
    """Statistics of its own for each normalisation; returns the state dict."""
    rng = np.random.default_rng(3)
    state = {}
    for name, tensor in twin.state_dict().items():
        if tensor.ndim == 1:
            tensor.set_value(rng.uniform(0.5, 1.5, tensor.shape).astype(np.float32))
        state[name] = tensor.numpy()
    twin.eval()
    return state


def small_spec(skip: str, bottleneck: bool = True) -> ResNetSpec:
    def block(width: int, skip: str, stride: int) -> BlockSpec:
        widths = (width, width, width * 4) if bottleneck else (width, width)
        return BlockSpec(kind="bottleneck" if bottleneck else "basic", widths=widths, skip=skip, stride=stride)

    stages = ((block(4, skip, 1), block(4, "identity", 1)), (block(8, "projection", 2), block(8, "identity", 1)))
    return ResNetSpec(name="small", num_classes=6, stem=StemSpec(kind="imagenet", width=4), stages=stages)


def compare(model: nn.Layer, twin: nn.Layer) -> None:
    image = paddle.to_tensor(np.random.default_rng(1).standard_normal((2, 3, 32, 32)).astype(np.float32))
    model.eval()
    with paddle.no_grad():
        np.testing.assert_allclose(model(image).numpy(), twin(image).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bottleneck", [True, False])
def test_paddleclas_gives_its_own_logits(bottleneck: bool) -> None:
    twin = Clas((2, 2), bottleneck, base=4)
    model = build(small_spec("projection", bottleneck))
    report = import_weights(model, enlivened(twin), "paddleclas")
    assert len(report.mapped) == len(twin.state_dict())
    compare(model, twin)


def test_resnet50_of_paddleclas_has_these_names() -> None:
    twin = Clas((3, 4, 6, 3), bottleneck=True, base=64)
    twin.fc = nn.Linear(2048, 1000)
    model = create("resnet50")
    report = import_weights(model, {name: tensor.numpy() for name, tensor in twin.state_dict().items()}, "paddleclas")
    assert {theirs for theirs, _ in report.mapped} == set(twin.state_dict())


def test_resnet_d_is_refused_by_name() -> None:
    twin = Clas((2, 2), bottleneck=True, base=4, stem=3)
    with pytest.raises(ConfigError, match=r"'stem\.1\.conv\.weight' is of a ResNet-D \(`_vd`\)"):
        import_weights(build(small_spec("projection")), enlivened(twin), "paddleclas")


def test_resnet18_of_paddleclas_has_a_projection_more() -> None:
    twin = Clas((2, 2, 2, 2), bottleneck=False, base=64)
    with pytest.raises(ConfigError, match=r"'blocks\.0\.short\.conv\.weight' is the projection that PaddleClas gives"):
        import_weights(create("resnet18"), enlivened(twin), "paddleclas")


def test_resnext_of_paddleclas() -> None:
    """Names from its model_zoo/resnext.py: blocks by stage and place, `_conv` and `_batch_norm` within."""
    model = create("resnext50_32x4d")
    state = {}
    for name, tensor in model.state_dict().items():
        parts = name.replace(".conv.conv.", ".conv.").replace("stem.conv.norm.", "stem.norm.").split(".")
        kind = {"conv": "_conv", "norm": "_batch_norm"}.get(parts[-2], "")
        if parts[0] == "stages":
            inner = f"conv{parts[4]}" if parts[3] == "branch" else "short"
            theirs = f"bb_{parts[1]}_{parts[2]}.{inner}.{kind}.{parts[-1]}"
        else:
            theirs = f"out.{parts[-1]}" if parts[0] == "head" else f"conv.{kind}.{parts[-1]}"
        state[theirs] = tensor.numpy()
    assert "bb_0_0.short._conv.weight" in state
    assert "conv._batch_norm._mean" in state
    assert len(import_weights(model, state, "paddleclas").mapped) == len(state)


def test_shortcuts_of_pytorch_cifar() -> None:
    block = BlockSpec(kind="basic", widths=(4, 4), skip="projection")
    stem = StemSpec(kind="cifar", width=4)
    model = build(ResNetSpec(name="small", num_classes=6, stem=stem, stages=((block,),)))
    fresh = build(model.spec).state_dict()
    ends = {"_mean": "running_mean", "_variance": "running_var"}
    names = {
        "stem.conv": "conv1", "stem.norm": "bn1", "head.fc": "linear",
        "stages.0.0.branch.0.conv": "layer1.0.conv1", "stages.0.0.branch.0.norm": "layer1.0.bn1",
        "stages.0.0.branch.1.conv": "layer1.0.conv2", "stages.0.0.branch.1.norm": "layer1.0.bn2",
        "stages.0.0.skip.project.conv": "layer1.0.shortcut.0", "stages.0.0.skip.project.norm": "layer1.0.shortcut.1",
    }  # fmt: skip
    state = {}
    for name, tensor in fresh.items():
        layer, _, end = name.rpartition(".")
        theirs = f"{names[layer]}.{ends.get(end, end)}"
        state[theirs] = tensor.numpy().T if theirs == "linear.weight" else tensor.numpy()
    import_weights(model, state, "pytorch_cifar")
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), fresh[name].numpy())


def test_a_family_no_source_has_is_named() -> None:
    model = create("cifar_resnet20")
    model.spec = model.spec.model_copy(update={"family": "unheard"})
    with pytest.raises(ConfigError, match="'timm' publishes no unheard; no source has any"):
        import_weights(model, {}, "timm")
