"""A process that tries PaddleSlim: what it does with small networks, and what it answers to questions of ours.

`python paddleslim_trials.py QUESTIONS ANSWERS`: a folder of questions as `filter_pruners.process` puts them, and the
file for the JSON {"answers": {question: answer}, "seen": {trial: what was seen}}.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from deploy.slim.filter_pruners.worker import answer, collections_of, opened

SHAPE = [1, 3, 8, 8]


class Residual(nn.Layer):
    """A stem and two blocks whose outputs are added: three kernels give the same six channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2D(3, 6, 3, padding=1)
        self.inner = nn.LayerList([nn.Conv2D(6, 5, 3, padding=1) for _ in range(2)])
        self.outer = nn.LayerList([nn.Conv2D(5, 6, 3, padding=1) for _ in range(2)])
        self.head = nn.Linear(6, 4)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = F.relu(self.stem(x))
        for inner, outer in zip(self.inner, self.outer, strict=True):
            x = F.relu(x + outer(F.relu(inner(x))))
        return self.head(paddle.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Between(nn.Layer):
    """Two convolutions with something between them, and a classifier behind a pooling."""

    def __init__(self, between: Callable[[paddle.Tensor], paddle.Tensor], taken: int = 8, groups: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2D(3, 8, 3, padding=1)
        self.between = between
        self.last = nn.Conv2D(taken, 8, 3, padding=1, groups=groups)
        self.head = nn.Linear(8, 4)
        self.pool: Callable[[paddle.Tensor], paddle.Tensor] = lambda x: F.adaptive_avg_pool2d(x, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.head(paddle.flatten(self.pool(F.relu(self.last(self.between(self.first(x))))), 1))


class Excitation(nn.Layer):
    """Squeeze and excitation, as Paddle's own sigmoid has it."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2D(8, 4, 1), nn.Conv2D(4, 8, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        gate = F.sigmoid(self.expand(F.relu(self.reduce(F.adaptive_avg_pool2d(x, 1)))))
        return x * gate


def model(build: Callable[[], nn.Layer] = Residual) -> nn.Layer:
    paddle.seed(0)
    made = build()
    made.eval()
    return made


def shapes(network: nn.Layer) -> list[list[int]]:
    return [list(tensor.shape) for tensor in network.parameters()]


def kept(plan: Any, tensor: Any) -> list[int]:
    masks = plan.masks.get(tensor.name, [])
    return [int(unit) for mask in masks if mask.dims == 0 for unit in np.flatnonzero(mask.mask)]


def master_alone_decides() -> Any:
    """The choice for a group of three kernels, before and after another one than the first is turned upside down."""
    found = []
    for scale in (1, -1):
        network = model()
        norms = np.arange(1, 7, dtype=np.float32)[::scale]
        for outer in network.outer:
            outer.weight.set_value(outer.weight * paddle.to_tensor(norms.copy()).reshape([-1, 1, 1, 1]) * 100)
        pruner = opened(network, "l1", SHAPE)
        found.append(kept(pruner.prune_vars({network.stem.weight.name: 0.5}, 0), network.stem.weight))
    return found


def another_member_is_named() -> Any:
    network = model()
    before = shapes(network)
    plan = opened(network, "l1", SHAPE).prune_vars({network.outer[0].weight.name: 0.5}, 0)
    return {"masks": len(plan.masks), "changed": shapes(network) != before}


def scores_are_stale() -> Any:
    """The choice of a pruner made before the weights changed, and of one made after."""
    network = model()
    pruner = opened(network, "l1", SHAPE)
    norms = paddle.arange(1, 7).astype("float32").reshape([-1, 1, 1, 1])
    network.stem.weight.set_value(paddle.ones_like(network.stem.weight) * norms)
    name = network.stem.weight.name
    stale = kept(pruner.prune_vars({name: 0.5}, 0, apply=None), network.stem.weight)
    fresh = kept(opened(network, "l1", SHAPE).prune_vars({name: 0.5}, 0, apply=None), network.stem.weight)
    return {"stale": stale, "fresh": fresh}


def cut_in_half(network: nn.Layer) -> Any:
    """Whether the first convolution can be cut, and what comes of it: a word, or the first error."""
    try:
        pruner = opened(network, "l1", SHAPE)
    except Exception as error:
        return f"not traced: {type(error).__name__}"
    finally:
        assert paddle.in_dynamic_mode()
    masters = [each["master"] for each in collections_of(pruner, network)]
    if "first.weight" not in masters:
        return "no group"
    images = paddle.to_tensor(np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32))
    try:
        plan = pruner.prune_vars({network.first.weight.name: 0.5}, 0)
        network(images)
    except Exception as error:
        return f"not run: {type(error).__name__}"
    return f"kept {len(kept(plan, network.first.weight))} of 8"


def operators() -> Any:
    def sliced(x: paddle.Tensor) -> paddle.Tensor:
        return x[:, 2:6]

    def joined(x: paddle.Tensor) -> paddle.Tensor:
        return paddle.concat([x, x], axis=1)

    between: dict[str, Callable[[], nn.Layer]] = {
        "relu": lambda: Between(nn.ReLU()),
        "silu": lambda: Between(nn.Silu()),
        "prelu": lambda: Between(nn.PReLU(8)),
        "elu": lambda: Between(nn.ELU()),
        "mish": lambda: Between(nn.Mish()),
        "gelu": lambda: Between(nn.GELU()),
        "slice": lambda: Between(sliced, taken=4),
        "concat": lambda: Between(joined, taken=16),
        "se": lambda: Between(Excitation()),
        "grouped": lambda: Between(nn.ReLU(), groups=2),
    }
    return {name: cut_in_half(model(build)) for name, build in between.items()}


def mean_pooling() -> Any:
    """What is cut with the convolution in front of `mean([2, 3])`."""
    network = model(lambda: Between(nn.ReLU()))
    network.pool = lambda x: x.mean([2, 3])
    return [each for each in collections_of(opened(network, "l1", SHAPE), network) if each["master"] == "last.weight"]


def optimizer_state() -> Any:
    """A velocity behind a cut: its shape, and how far the next step is from what the kept channels' velocity gives."""
    network = model()
    optimizer = paddle.optimizer.Momentum(0.01, momentum=0.9, parameters=network.parameters())
    kernel = network.stem.weight
    network(paddle.ones(SHAPE)).sum().backward()
    optimizer.step()
    optimizer.clear_grad()
    velocity = optimizer._accumulators["velocity"][kernel.name]
    before = velocity.numpy()
    stays = kept(opened(network, "l1", SHAPE).prune_vars({kernel.name: 0.5}, 0), kernel)
    shape = list(velocity.shape)
    network(paddle.ones(SHAPE)).sum().backward()
    right = 0.9 * before[stays] + kernel.grad.numpy()
    optimizer.step()
    found = velocity.numpy()[: len(stays)]
    return {"parameter": kernel.shape, "velocity": shape, "error": float(np.abs(found - right).max())}


def size_of_state() -> Any:
    network = model()

    def size() -> int:
        return sum(int(np.prod(tensor.shape)) for tensor in network.state_dict().values())

    before = size()
    opened(network, "l1", SHAPE).prune_vars({network.stem.weight.name: 0.5}, 0)
    left = sum(int(np.prod(shape)) for shape in shapes(network))
    buffers = [name for name, _ in network.named_buffers() if name.endswith("_backup")]
    return {"before": before, "parameters": left, "state": size(), "backups": len(buffers)}


def search_for_flops() -> Any:
    """The share of the MACs that goes where a third was asked for, and every group costs the same up to a cliff."""
    network = model()
    pruner = opened(network, "l1", SHAPE)
    cliff = {0.1: 0.0, 0.2: 0.0, 0.8: 0.01, 0.9: 0.9}
    pruner._status.sensitivies = {each.master_name: dict(cliff) for each in pruner.collections}
    return pruner.get_ratios_by_sensitivity(1 / 3)[1]


def fresh_model() -> Any:
    """Whether the state of a pruned network can be loaded into a new one that knows of no pruner."""
    network, new = model(), model()
    opened(network, "l1", SHAPE).prune_vars({network.stem.weight.name: 0.5}, 0)
    try:
        new.set_state_dict(network.state_dict())
    except Exception as error:
        return f"raised {type(error).__name__}"
    return "loaded" if shapes(new) == shapes(network) else "as it was"


TRIALS = (
    master_alone_decides, another_member_is_named, scores_are_stale, operators, mean_pooling, optimizer_state,
    size_of_state, search_for_flops, fresh_model,
)  # fmt: skip


if __name__ == "__main__":
    questions, file = map(Path, sys.argv[1:])
    answers = {folder.name: answer(folder) for folder in sorted(questions.iterdir())}
    seen = {trial.__name__: trial() for trial in TRIALS}
    file.write_text(json.dumps({"answers": answers, "seen": seen}))
