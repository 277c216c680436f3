"""CIFAR's ResNet-20 as the project's own recipe trained it: real weights for what random ones cannot show."""

from pathlib import Path

from paddle import nn
from safetensors.numpy import load_file

from ppresnet.checkpoint.state import restore_weights
from ppresnet.config import RunConfig, load
from ppresnet.models import create

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "tests" / "assets" / "cifar10_resnet20.safetensors"
TOP1 = 88.73  # percent of the 10,000 test images, encoded again as JPEG; the README says how it was trained


def trained_resnet20() -> nn.Layer:
    model = create("cifar_resnet20")
    restore_weights(model, load_file(WEIGHTS))
    model.eval()
    return model


def cifar10(shared: Path) -> RunConfig:
    return load(ROOT / "configs" / "cifar10" / "resnet20.yaml", [f"data.root={shared / 'data' / 'cifar10_jpeg.zip'}"])
