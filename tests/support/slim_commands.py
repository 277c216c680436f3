"""Stands in for the commands of a slim run: reads their flags as they do, and leaves what they would leave."""

from __future__ import annotations

import hashlib
import importlib
import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from random_specs import random_checkpoint

from deploy.slim.cutting import cut
from deploy.slim.grouping import channel_graph
from deploy.slim.groups import ChannelGraph
from deploy.slim.plan_file import read_plan
from deploy.slim.planner import plan_of
from ppresnet.checkpoint import Checkpoint, Store, read
from ppresnet.checkpoint.state import spec_of_checkpoint, weights_sha
from ppresnet.config import load
from ppresnet.errors import ProcessError
from ppresnet.files import staged_directory, verify_manifest
from ppresnet.spec import ModelSpec
from ppresnet.train.resume import deciding


@cache
def graph_of(spec: ModelSpec) -> ChannelGraph:
    return channel_graph(spec)


def weight_count(path: Path) -> int:
    return sum(array.size for array in read(path).weights.values())


def digest(*values: object) -> int:
    return int(hashlib.sha256(repr(values).encode()).hexdigest()[:6], 16)


@dataclass
class Commands:
    """Called as `process.run` is; remembers the steps, and reads all that they are given.

    It is killed in `breaks`; in `unequal` a check fails, and in `partial` one does after the result was written.
    """

    spec: ModelSpec
    ran: list[str] = field(default_factory=list)
    asked: dict[str, Namespace] = field(default_factory=dict)
    breaks: str = ""
    unequal: str = ""
    partial: str = ""

    def __call__(self, title: str, arguments: Sequence[str]) -> None:
        program, rest = (arguments[1], arguments[2:]) if arguments[0] == "-m" else (arguments[0], arguments[1:])
        name = Path(program).stem if program.endswith(".py") else program.rpartition(".")[2]
        module = importlib.import_module(name if program.endswith(".py") else program)
        asked = module.parse(list(rest))
        self.ran.append(title)
        self.asked[title] = asked
        if getattr(asked, "output", None) is not None and title.startswith(("train", "finetune")):
            asked.output.mkdir(exist_ok=True)
            (asked.output / "state").write_text(f"{len(self.ran)}")
        if title == self.breaks:
            raise KeyboardInterrupt
        if title == self.unequal:
            raise ProcessError("a check did not hold", 3)
        result = getattr(self, f"_{name}")(asked)
        if title == self.partial:
            result |= {"failures": ["model.onnx is too far from the network"]}
        asked.json.write_text(json.dumps(result))
        if title == self.partial:
            raise ProcessError("a check did not hold", 3)

    def _train(self, asked: Namespace) -> dict[str, Any]:
        tuning = load(asked.config, asked.overrides)
        start = [Path(tuning.init_from)] if tuning.init_from is not None else []
        whole = random_checkpoint(self.spec, np.random.default_rng(0)) if not start else read(start[0])
        if tuning.distill.checkpoint is not None and start:
            assert read(Path(tuning.distill.checkpoint)).spec == self.spec.model_dump(mode="json")
        weights = {name: array * np.float32(1.5) for name, array in whole.weights.items()}
        state = digest(
            sorted(deciding(load(asked.config)).items()), sorted(each.partition("=")[0] for each in asked.overrides)
        )
        made = Checkpoint(weights, {}, {}, whole.spec, {}, {"state": state})
        path = Store(asked.output / "checkpoints").save(made, 1)
        return {"checkpoint": str(path), "top1": 90.0}

    def _sensitivity(self, asked: Namespace) -> dict[str, Any]:
        asked.output.mkdir(exist_ok=True)
        file = asked.output / "sensitivity.json"
        weights = weights_sha(read(asked.checkpoint).weights)
        file.write_text(json.dumps({"weights": weights, "how": [asked.subset, asked.shares]}))
        file.with_suffix(".png").touch()
        return {"checkpoint": str(asked.checkpoint), "file": str(file)}

    def _plan(self, asked: Namespace) -> dict[str, Any]:
        checkpoint = read(asked.checkpoint)
        if asked.sensitivity is not None:
            assert json.loads(asked.sensitivity.read_text())["weights"] == weights_sha(checkpoint.weights)
        graph = graph_of(spec_of_checkpoint(checkpoint))
        name, group = next((each.name, each) for each in graph if each.units > 2)
        made = plan_of(checkpoint, graph, {name: tuple(range(group.units - 1))})
        made.write(asked.output)
        ratio = {"latency": {"ratio": 0.9}} if asked.latency is not None else {}
        return {**made.model_dump(mode="json"), "plan": str(asked.output), **ratio}

    def _cut(self, asked: Namespace) -> dict[str, Any]:
        whole = read(asked.checkpoint)
        smaller = cut(whole, read_plan(asked.plan), graph_of(spec_of_checkpoint(whole)))
        return {"checkpoint": str(Store(asked.output / "checkpoints").save(smaller, 1))}

    def _export(self, asked: Namespace) -> dict[str, Any]:
        weights = weights_sha(read(asked.checkpoint).weights)
        with staged_directory(asked.output, replace=True) as staging:
            (staging / "deploy.json").write_text(json.dumps(weights))
        return {"output": str(asked.output), "failures": []}

    def _quantize(self, asked: Namespace) -> dict[str, Any]:
        how = {"images": asked.images or 454, "top1_float": 97.0, "top1_int8": 96.5}
        return {**self._export(asked), "quantisation": how, "top1_before": 97.0, "top1_after": 96.5, "failures": []}

    def _compare(self, asked: Namespace) -> dict[str, Any]:
        assert len({asked.checkpoint, *asked.smaller}) == 1 + len(asked.smaller)
        sizes = [weight_count(path) for path in (asked.checkpoint, *asked.smaller)]
        assert sizes == sorted(sizes, reverse=True) and sizes[-1] < sizes[0]
        if asked.int8 is not None:
            verify_manifest(asked.int8)
        rows = [
            {
                "checkpoint": str(path),
                "params": 1000 - 100 * n,
                "macs": 9000 - 1000 * n,
                "top1": 90.0 - n,
                "loss": 0.5,
                "images": 454,
            }
            for n, path in enumerate([asked.checkpoint, *asked.smaller])
        ]
        rows += [{"checkpoint": str(asked.int8)}] if asked.int8 is not None else []
        for n, row in enumerate(rows):
            times = {"latency_ms": 2.0 - 0.25 * n, "before_ms": 2.0, "ratio": 1 - n / 8, "low": 0.4, "high": 0.9}
            row.update(times if n else {"latency_ms": 2.0})
        return {"rows": rows, "backend": "onednn", "threads": 1}
