"""One run of `training.py` on PyTorch: trains the same network and prints its times as JSON.

It runs in whatever Python has PyTorch, with the standard library and PyTorch alone. What to measure is an argument,
since no module of this project imports torch.
"""

import argparse
import contextlib
import importlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def residual(torch: Any, branch: Any, skip: Any) -> Any:
    """Return a layer that computes relu(skip(x) + branch(x))."""

    class Residual(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch, self.skip = branch, skip

        def forward(self, x: Any) -> Any:
            return torch.relu(self.skip(x) + self.branch(x))

    return Residual()


def zero_pad(torch: Any, stride: int, more: int) -> Any:
    """Return the skip without parameters (option A): every other pixel, and `more` channels of zeros."""

    class ZeroPad(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            x = x[:, :, ::stride, ::stride]
            return torch.nn.functional.pad(x, (0, 0, 0, 0, more // 2, more - more // 2))

    return ZeroPad()


def unit(torch: Any, inputs: int, outputs: int, kernel: int, stride: int = 1, act: bool = True) -> Any:
    """Return a convolution, a batch normalisation and a ReLU."""
    convolution = torch.nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    parts = [convolution, torch.nn.BatchNorm2d(outputs)]
    return torch.nn.Sequential(*parts, *([torch.nn.ReLU(inplace=True)] if act else []))


def cifar_resnet20(torch: Any) -> Any:
    """Return the network of He et al. 2015, section 4.2."""
    layers, channels = [unit(torch, 3, 16, 3)], 16
    for width in (16, 32, 64):
        for _ in range(3):
            stride = 1 if width == channels else 2
            parts = [unit(torch, channels, width, 3, stride), unit(torch, width, width, 3, act=False)]
            skip = torch.nn.Identity() if stride == 1 else zero_pad(torch, stride, width - channels)
            layers.append(residual(torch, torch.nn.Sequential(*parts), skip))
            channels = width
    head = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(channels, 10)]
    return torch.nn.Sequential(*layers, *head)


def resnet50(torch: Any) -> Any:
    """Return the network of He et al. 2015 with the stride in the 3x3 convolutions (v1.5), as torchvision has it."""
    layers, channels = [unit(torch, 3, 64, 7, 2), torch.nn.MaxPool2d(3, 2, 1)], 64
    for stage, depth in enumerate((3, 4, 6, 3)):
        for block in range(depth):
            width, stride = 64 * 2**stage, 2 if block == 0 and stage else 1
            parts = [unit(torch, channels, width, 1), unit(torch, width, width, 3, stride)]
            parts.append(unit(torch, width, 4 * width, 1, act=False))
            skip = unit(torch, channels, 4 * width, 1, stride, act=False) if block == 0 else torch.nn.Identity()
            layers.append(residual(torch, torch.nn.Sequential(*parts), skip))
            channels = 4 * width
    head = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(channels, 1000)]
    return torch.nn.Sequential(*layers, *head)


NETWORKS: dict[str, Callable[[Any], Any]] = {"cifar_resnet20": cifar_resnet20, "resnet50": resnet50}


def train(torch: Any, wanted: argparse.Namespace) -> dict[str, Any]:
    """Return the seconds of each step, the cores the process had, its losses and the parameters of the network."""
    torch.manual_seed(0)
    layout = torch.channels_last if wanted.layout == "channels_last" else torch.contiguous_format
    network = NETWORKS[wanted.model](torch).to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    images = torch.randn(wanted.batch, 3, wanted.size, wanted.size).to(memory_format=layout)
    labels = torch.randint(0, 10, [wanted.batch])
    short = torch.autocast("cpu", torch.bfloat16) if wanted.compute == "bf16" else contextlib.nullcontext()

    def step() -> float:
        with short:
            loss = torch.nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    seconds, cores, losses = [], [], []
    for _ in range(wanted.steps):
        start, cpu = time.perf_counter(), time.process_time()
        losses.append(step())
        seconds.append(time.perf_counter() - start)
        cores.append((time.process_time() - cpu) / seconds[-1])
    parameters = sum(p.numel() for p in network.parameters())
    return {"seconds": seconds, "cores": cores, "losses": losses, "parameters": parameters}


def peak_memory_mb() -> float:
    """Return the most memory this process has had resident, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """Run once, and print the result in the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=["torch"])
    parser.add_argument("layout", choices=["nchw", "channels_last"])
    parser.add_argument("compute", choices=["fp32", "bf16"])
    parser.add_argument("model", choices=NETWORKS)
    for name in ("batch", "size", "steps"):
        parser.add_argument(name, type=int)
    wanted = parser.parse_args()
    torch = importlib.import_module(wanted.library)
    result = train(torch, wanted)
    used = f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"
    print(json.dumps({"used": used, **result, "peak_memory_mb": peak_memory_mb(), "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
