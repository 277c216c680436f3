"""CIFAR's ResNet-20 as the project's own recipe trained it: real weights for what random ones cannot show."""

from pathlib import Path

from paddle import nn
from safetensors.numpy import load_file

from ppresnet.checkpoint import Checkpoint, Store
from ppresnet.checkpoint.state import restore_weights
from ppresnet.config import RunConfig, load
from ppresnet.data import open_split
from ppresnet.models import create

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "tests" / "assets" / "cifar10_resnet20.safetensors"
STEP = 21840
TOP1 = 89.04  # percent of the 10,000 test images, encoded again as JPEG; the README says how it was trained


def trained_resnet20() -> nn.Layer:
    model = create("cifar_resnet20")
    restore_weights(model, load_file(WEIGHTS))
    model.eval()
    return model


def cifar10(shared: Path) -> RunConfig:
    return load(ROOT / "configs" / "cifar10" / "resnet20.yaml", [f"data.root={shared / 'data' / 'cifar10_jpeg.zip'}"])


def save_trained(shared: Path, folder: Path) -> Path:
    """Return the step folder of a checkpoint with these weights below `folder`, as a run would have left it."""
    config = cifar10(shared)
    classes = open_split(config.data, "val", in_channels=3, num_classes=10).classes
    spec, recipe = trained_resnet20().spec.model_dump(mode="json"), config.model_dump(mode="json")
    progress = {"classes": list(classes), "step": STEP, "best": {"step": STEP, "top1": TOP1, "loss": 0.4}}
    return Store(folder / "checkpoints").save(Checkpoint(load_file(WEIGHTS), {}, {}, spec, recipe, progress), STEP)
