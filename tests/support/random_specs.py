"""Small random networks of every family that can be cut, with random weights and statistics."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import paddle
from numpy.random import Generator

from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import model_of, spec_of_checkpoint, weights_of
from ppresnet.models import build
from ppresnet.spec import (
    BlockSpec,
    DenseLayerSpec,
    DenseNetSpec,
    LCNetSpec,
    ModelSpec,
    PreActBlockSpec,
    PreActSpec,
    ResNetSpec,
    SeparableSpec,
    StemSpec,
)
from ppresnet.spec.gated import GatedBlockSpec, GatedSpec, HighwayGateSpec, SparseGateSpec
from ppresnet.spec.vit import EncoderBlockSpec, ViTSpec

ACTS = ("relu", "leaky_relu", "silu", "gelu")


def stem(rng: Generator) -> StemSpec:
    return StemSpec(kind=str(rng.choice(["cifar", "imagenet"])), width=int(rng.integers(2, 9)))  # type: ignore[arg-type]


def fields(rng: Generator, size: int = 16) -> dict[str, Any]:
    norm = str(rng.choice(["batch", "batch", "group"]))
    return {"name": "random", "num_classes": 5, "in_channels": 3, "input_size": size,
            "act": str(rng.choice(ACTS)), "norm": norm}  # fmt: skip


def widening(rng: Generator, width: int, kinds: list[str]) -> tuple[str, int, int]:
    """Return a skip, the width behind it and a stride."""
    kind = str(rng.choice(kinds))
    if kind == "identity":
        return kind, width, 1
    wider = width + int(rng.integers(0, 6)) if kind == "zero_pad" else int(rng.integers(2, 10))
    return kind, wider, int(rng.integers(1, 3))


def resnet(rng: Generator) -> ResNetSpec:
    first = stem(rng)
    width, stages = first.width, []
    kinds = list(rng.permutation(["identity", "zero_pad", "projection", "none"])[: rng.integers(1, 5)])
    for _ in range(rng.integers(1, 4)):
        blocks = []
        for _ in range(rng.integers(1, 3)):
            skip, width, stride = widening(rng, width, kinds)
            groups = int(rng.choice([1, 1, 2, 3]))
            inner = groups * int(rng.integers(1, 4))
            bottleneck = groups > 1 or bool(rng.integers(2))
            blocks.append(
                BlockSpec(
                    kind="bottleneck" if bottleneck else "basic",
                    widths=(inner, groups * int(rng.integers(1, 4)), width) if bottleneck else (inner, width),
                    skip=skip,  # type: ignore[arg-type]
                    stride=stride,
                    groups=groups,
                    se=int(rng.integers(1, 5)) if rng.integers(3) == 0 else None,
                )
            )
        stages.append(tuple(blocks))
    return ResNetSpec(stem=first, stages=tuple(stages), **fields(rng))


def preact(rng: Generator) -> PreActSpec:
    first = stem(rng)
    width, stages = first.width, []
    for _ in range(rng.integers(1, 4)):
        blocks = []
        for index in range(rng.integers(1, 3)):
            skip, width, stride = widening(rng, width, ["identity", "zero_pad", "projection"])
            inner = [int(rng.integers(1, 6)) for _ in range(rng.integers(1, 3))]
            kind = "bottleneck" if len(inner) == 2 else "basic"
            blocks.append(
                PreActBlockSpec(kind=kind, widths=(*inner, width), skip=skip, stride=stride, shared=index == 0)  # type: ignore[arg-type]
            )
        stages.append(tuple(blocks))
    return PreActSpec(stem=first, stages=tuple(stages), **fields(rng))


def densenet(rng: Generator) -> DenseNetSpec:
    stages = tuple(
        tuple(
            DenseLayerSpec(
                growth=int(rng.integers(1, 5)), bottleneck=int(rng.integers(1, 6)) if rng.integers(2) else None
            )
            for _ in range(rng.integers(1, 4))
        )
        for _ in range(rng.integers(1, 3))
    )
    transitions = tuple(int(rng.integers(2, 7)) for _ in stages[1:])
    return DenseNetSpec(stem=stem(rng), stages=stages, transitions=transitions, **fields(rng))


def lcnet(rng: Generator) -> LCNetSpec:
    stages = tuple(
        tuple(
            SeparableSpec(
                kernel=int(rng.choice([3, 5])),  # type: ignore[arg-type]
                width=int(rng.integers(2, 9)),
                stride=int(rng.integers(1, 3)),
                reduced=int(rng.integers(1, 4)) if rng.integers(2) else None,
            )
            for _ in range(rng.integers(1, 3))
        )
        for _ in range(rng.integers(1, 3))
    )
    plain = fields(rng) | {"act": "hard_swish"}
    return LCNetSpec(stem=int(rng.integers(2, 7)), stages=stages, hidden=int(rng.integers(2, 9)), **plain)


def vit(rng: Generator) -> ViTSpec:
    blocks = tuple(
        EncoderBlockSpec(heads=int(rng.integers(1, 4)), head_dim=int(rng.integers(2, 5)), mlp=int(rng.integers(2, 9)))
        for _ in range(rng.integers(1, 3))
    )
    plain = fields(rng, 8) | {"norm": "layer", "act": "gelu"}
    return ViTSpec(patch=4, width=int(rng.integers(4, 9)), blocks=blocks, **plain)


def gated(rng: Generator) -> GatedSpec:
    stem, stages = int(rng.integers(2, 7)), []
    width = stem
    for _ in range(rng.integers(1, 3)):
        blocks = []
        for _ in range(rng.integers(1, 3)):
            skip, width, stride = widening(rng, width, ["identity", "zero_pad", "projection"])
            over = str(rng.choice(["channel", "pixel"]))
            sparse = SparseGateSpec(over=over, threshold=0.1)  # type: ignore[arg-type]
            gate = HighwayGateSpec() if rng.integers(2) else sparse
            widths = (int(rng.integers(2, 7)), width)
            blocks.append(GatedBlockSpec(widths=widths, skip=skip, gate=gate, stride=stride))  # type: ignore[arg-type]
        stages.append(tuple(blocks))
    return GatedSpec(stem=stem, stages=tuple(stages), **fields(rng, 8))


RANDOM: Mapping[str, Callable[[Generator], ModelSpec]] = {
    "resnet": resnet,
    "preact": preact,
    "densenet": densenet,
    "lcnet": lcnet,
    "gated": gated,
    "vit": vit,
}


def random_weights(spec: ModelSpec, rng: Generator) -> dict[str, np.ndarray]:
    """Return parameters and statistics that nobody initialises so: every gamma, beta, mean and variance differs."""
    weights = {}
    for name, array in weights_of(build(spec)).items():
        last, shape = name.rpartition(".")[2], array.shape
        if last == "_variance":
            drawn = rng.uniform(0.5, 2.0, shape)
        elif last == "weight" and array.ndim > 1:
            drawn = rng.normal(0, 1 / np.sqrt(max(array.size / max(shape), 1)), shape)
        elif last == "weight":
            drawn = rng.uniform(0.5, 1.5, shape)
        else:
            drawn = rng.normal(0, 0.3, shape)
        weights[name] = drawn.astype(array.dtype)
    return weights


def random_checkpoint(spec: ModelSpec, rng: Generator) -> Checkpoint:
    """Return a checkpoint with an optimiser's velocities and averaged weights, all different."""
    weights = random_weights(spec, rng)
    trained = [name for name, _ in build(spec).named_parameters()]
    optimizer = {f"{name}/velocity_0": rng.normal(size=weights[name].shape).astype(np.float32) for name in trained}
    ema = {name: array * np.float32(1.125) for name, array in weights.items()}
    return Checkpoint(weights, optimizer, ema, json.loads(spec.model_dump_json()), {}, {"best": None, "step": 3})


def logits(checkpoint: Checkpoint) -> np.ndarray:
    """Return what the network of a checkpoint answers to three random images, always the same."""
    spec = spec_of_checkpoint(checkpoint)
    shape = (3, spec.in_channels, spec.input_size, spec.input_size)
    images = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return np.asarray(model_of(checkpoint)(paddle.to_tensor(images)))


def random_images(spec: ModelSpec, rng: Generator, count: int = 3) -> paddle.Tensor:
    size = spec.input_size
    images = paddle.to_tensor(rng.normal(size=(count, spec.in_channels, size, size)))
    images.stop_gradient = False
    return images
