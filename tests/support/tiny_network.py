"""A checkpoint of a tiny network with every kind of skip, for what needs a checkpoint but no training."""

from pathlib import Path

import numpy as np
import paddle

from ppresnet.checkpoint import Checkpoint, Store
from ppresnet.checkpoint.state import weights_of
from ppresnet.config import RunConfig, from_dict
from ppresnet.models import build
from ppresnet.spec import BlockSpec, ResNetSpec, StemSpec

CLASSES = tuple("0123456789")


def tiny_spec() -> ResNetSpec:
    first = (
        BlockSpec(kind="basic", widths=(4, 4), skip="identity"),
        BlockSpec(kind="basic", widths=(4, 8), skip="zero_pad", stride=2),
    )
    second = (BlockSpec(kind="bottleneck", widths=(4, 4, 12), skip="projection"),)
    stem = StemSpec(kind="cifar", width=4)
    return ResNetSpec(name="tiny", num_classes=10, in_channels=1, input_size=8, stem=stem, stages=(first, second))


def tiny_config() -> RunConfig:
    """Real digits, which need no download."""
    return from_dict({"name": "tiny", "model": {"num_classes": 10, "in_channels": 1}, "data": {"format": "digits"}})


def tiny_checkpoint(seed: int = 0) -> Checkpoint:
    paddle.seed(seed)
    model = build(tiny_spec())
    rng = np.random.default_rng(seed)
    weights = {}
    for name, array in weights_of(model).items():
        # Statistics as training leaves them, so that folding them into the convolutions changes something.
        spread = {"_mean": rng.normal(0, 0.1, array.shape), "_variance": rng.uniform(0.5, 2, array.shape)}
        weights[name] = spread.get(name.rpartition(".")[2], array).astype(array.dtype)
    progress = {"classes": list(CLASSES), "step": 7, "best": {"step": 7, "top1": 12.5, "loss": 2.0}}
    spec, config = model.spec.model_dump(mode="json"), tiny_config().model_dump(mode="json")
    return Checkpoint(weights, {}, {}, spec, config, progress)


def save_tiny(folder: Path, seed: int = 0) -> Path:
    """Return the step folder of a new checkpoint below `folder`."""
    return Store(folder / "checkpoints").save(tiny_checkpoint(seed), 7)
