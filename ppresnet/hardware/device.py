"""CPU or GPU, decided without importing Paddle."""

import importlib.metadata
import os
from pathlib import Path

from ppresnet.errors import RequestError


def choose_device(wanted: str) -> str:
    """Return `cpu` or `gpu`, without importing Paddle; `auto` is `gpu` where Paddle and the machine have one.

    Raises:
        RequestError: `wanted` is none of auto, cpu and gpu, or there is no GPU to use.
    """
    if wanted not in {"auto", "cpu", "gpu"}:
        raise RequestError(f"device: expected 'auto', 'cpu' or 'gpu', found {wanted!r}; set hardware.device")
    if wanted == "cpu":
        return "cpu"
    missing = missing_for_gpu()
    if missing and wanted == "gpu":
        raise RequestError(f"device: expected a GPU, found {missing}; use hardware.device=cpu or auto")
    return "cpu" if missing else "gpu"


def missing_for_gpu(devices: Path = Path("/dev")) -> str:
    """Return what keeps Paddle from a GPU here; empty when nothing does."""
    try:
        importlib.metadata.version("paddlepaddle-gpu")
    except importlib.metadata.PackageNotFoundError:
        return "that paddlepaddle-gpu is not installed"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in {"", "-1"}:
        return f"that CUDA_VISIBLE_DEVICES={visible!r} hides every GPU"
    if not any(devices.glob("nvidia[0-9]*")) and not (devices / "dxg").exists():
        return f"no NVIDIA device in {devices}"
    return ""
