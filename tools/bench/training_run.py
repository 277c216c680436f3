"""One run of `training.py` on Paddle: trains on random images and prints its times as JSON."""

import argparse
import json
import os
import time
from typing import Any, Literal

from ppresnet import hardware
from ppresnet.hardware.malloc import settle

SETTINGS: dict[
    str, tuple[bool, Literal["float32", "bfloat16"] | None, str]
] = {  # name: chosen MKL and threads, oneDNN's compute type, malloc
    "stock": (False, None, "default"),
    "chosen": (True, None, "default"),
    "onednn": (True, "float32", "default"),
    "onednn_malloc": (True, "float32", "tuned"),
    "onednn_bf16": (True, "bfloat16", "default"),
    "onednn_bf16_malloc": (True, "bfloat16", "tuned"),
}


def prepare(setting: str) -> str:
    """Set up this process, import Paddle, and return what is used."""
    chosen, compute, malloc = SETTINGS[setting]
    used = [settle(malloc), hardware.prepare("cpu").describe() if chosen else "Paddle's defaults"]
    hardware.import_paddle()
    import paddle

    from ppresnet import onednn
    from ppresnet.train.kernels import COMPOSITES

    paddle.set_device("cpu")
    if compute is not None:
        used.append(onednn.enable("enabled", compute, **COMPOSITES))
    return "; ".join(filter(None, used))


def train(model: str, batch: int, size: int, steps: int) -> dict[str, Any]:
    """Return the seconds of each step, the cores the process had, its losses and the parameters of the network."""
    import paddle

    from ppresnet import models

    paddle.seed(0)
    network = models.create(model, in_channels=3)
    optimizer = paddle.optimizer.Momentum(learning_rate=0.01, momentum=0.9, parameters=network.parameters())
    images, labels = paddle.randn([batch, 3, size, size]), paddle.randint(0, 10, [batch])

    def step() -> float:
        loss = paddle.nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        return float(loss)

    seconds, cores, losses = [], [], []
    for _ in range(steps):
        start, cpu = time.perf_counter(), time.process_time()
        losses.append(step())
        seconds.append(time.perf_counter() - start)
        cores.append((time.process_time() - cpu) / seconds[-1])
    parameters = sum(p.size for p in network.parameters() if not p.stop_gradient)
    return {"seconds": seconds, "cores": cores, "losses": losses, "parameters": int(parameters)}


def main() -> None:
    """Run once, and print the result in the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("model")
    for name in ("batch", "size", "steps"):
        parser.add_argument(name, type=int)
    wanted = parser.parse_args()
    used = prepare(wanted.setting)
    result = train(wanted.model, wanted.batch, wanted.size, wanted.steps)
    load = os.getloadavg()[0]
    print(json.dumps({"used": used, **result, "peak_memory_mb": hardware.peak_memory_mb(), "load": load}))


if __name__ == "__main__":
    main()
