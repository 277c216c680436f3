"""Small networks and bundles of them, made without training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

from ppresnet import paddle_api
from ppresnet.bundle import DEPLOY, GOLDEN, LABELS, Activation, Deploy, Port, Source, list_files
from ppresnet.files import write_manifest
from ppresnet.layers.sites import promised_sites
from ppresnet.models import build
from ppresnet.pixels import Preprocess
from ppresnet.spec import BlockSpec, ResNetSpec, StemSpec

SIZE = 16
PREPROCESS = Preprocess(input_size=SIZE, in_channels=3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
FORMATS = ("json", "pdmodel") if paddle_api.has_json() else ("pdmodel",)


def small_net(act: str = "relu", skip: str = "projection", drop_path: float = 0.0) -> nn.Layer:
    """Return three basic blocks and a bottleneck, the second and the fourth with `skip`, in evaluation mode."""
    blocks = (
        BlockSpec(kind="basic", widths=(8, 8), skip="identity"),
        BlockSpec(kind="basic", widths=(16, 16), skip=skip, stride=2),
        BlockSpec(kind="basic", widths=(16, 16), skip="identity"),
        BlockSpec(kind="bottleneck", widths=(8, 8, 32), skip=skip, stride=2),
    )
    spec = ResNetSpec(
        name="small", num_classes=5, act=act, drop_path=drop_path, input_size=SIZE,
        stem=StemSpec(kind="cifar", width=8), stages=(blocks[:1], blocks[1:]),
    )  # fmt: skip
    paddle.seed(1)
    net = build(spec)
    enliven(net)
    return net


def enliven(net: nn.Layer) -> None:
    """Give every BatchNorm statistics of its own, so that folding one changes the weights; ends in evaluation mode."""
    rng = np.random.default_rng(2)
    for layer in net.sublayers():
        if isinstance(layer, nn.BatchNorm | nn.BatchNorm2D):
            for tensor, low, high in (
                (layer._mean, -0.2, 0.2),
                (layer._variance, 0.5, 2.0),
                (layer.weight, 0.5, 1.5),
                (layer.bias, -0.3, 0.3),
            ):
                tensor.set_value(rng.uniform(low, high, tensor.shape).astype(np.float32))
    net.eval()


def save_programs(net: nn.Layer, directory: Path, size: int = SIZE, formats: Sequence[str] = FORMATS) -> Path:
    """Write the programs and parameters of a network for RGB images."""
    directory.mkdir(parents=True, exist_ok=True)
    for format in formats:
        shape = [-1, 3, size, size]
        spec = paddle.static.InputSpec(shape, "float32", "images")
        paddle_api.save_program(net, directory / "inference", [spec], format)  # type: ignore[arg-type]
    (directory / "inference.pdiparams.info").unlink(missing_ok=True)
    return directory


def logits_of(net: nn.Layer, images_NCHW: np.ndarray) -> np.ndarray:
    """Return the network's own answer."""
    with paddle.no_grad():
        return np.asarray(net(paddle.to_tensor(images_NCHW)))


def random_images(count: int, seed: int = 3, size: int = SIZE) -> np.ndarray:
    """Return preprocessed images, float32 [count, 3, size, size]."""
    return np.random.default_rng(seed).standard_normal((count, 3, size, size)).astype(np.float32)


def make_bundle(net: nn.Layer, directory: Path, formats: Sequence[str] = FORMATS) -> Path:
    """Write a whole bundle."""
    save_programs(net, directory, formats=formats)
    labels = [f"class {index}" for index in range(net.spec.num_classes)]
    (directory / LABELS).write_bytes(("\n".join(labels) + "\n").encode())
    golden = random_images(4)
    np.savez(directory / GOLDEN, inputs=golden, outputs=logits_of(net, golden))
    return seal(directory, net)


def seal(
    directory: Path, net: nn.Layer, activation: Activation = "softmax", preprocess: Preprocess = PREPROCESS
) -> Path:
    """Write `deploy.json` and the manifest of what stands in a folder."""
    deploy = Deploy(
        name=net.spec.name,
        spec=net.spec.model_dump(mode="json"),
        preprocess=preprocess,
        inputs=(Port(shape=(-1, 3, preprocess.input_size, preprocess.input_size), dtype="float32"),),
        outputs=(Port(shape=(-1, net.spec.num_classes), dtype="float32"),),
        activation=activation,
        files=list_files(directory),
        producers={"paddle": paddle.__version__},
        source=Source(checkpoint="none", sha256="0" * 64),
        sites=promised_sites(net),
    )
    (directory / DEPLOY).write_text(deploy.dump(), encoding="utf-8")
    write_manifest(directory)
    return directory
