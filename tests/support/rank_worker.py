"""What a process does for the tests of data parallelism: python rank_worker.py OUT.npz."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from paddle import nn

from ppresnet.config import RunConfig, from_dict
from ppresnet.data import Batch, BrokenReport, Loader, Samples, open_split, preprocess_of
from ppresnet.errors import DataError, ProcessError
from ppresnet.spec import spec_of
from ppresnet.train.evaluate import evaluate
from ppresnet.train.gradients import STATISTICS
from ppresnet.train.ranks import Ranks, join
from ppresnet.train.start import assemble_step
from ppresnet.train.step import Step


class Recorder:
    """An optimiser that keeps the gradients instead of using them."""

    def __init__(self, model: nn.Layer) -> None:
        self.model = model
        self.gradients: dict[str, np.ndarray] = {}

    def set_lr(self, rate: float) -> None: ...

    def step(self) -> None:
        self.gradients = {name: np.asarray(p.grad) for name, p in self.model.named_parameters() if p.grad is not None}

    def clear_grad(self) -> None:
        for parameter in self.model.parameters():
            parameter.clear_gradient(False)


def recipe(norm: str, frozen: int = 1, statistics: bool = False, every: int = 0) -> RunConfig:
    return from_dict(
        {
            "model": {"name": "cifar_resnet20", "norm": norm},
            "finetune": {"frozen_stages": frozen, "frozen_statistics": statistics},
            "recompute": {"every": every},
            "sparsity": {"group_lasso": 0.05},
        }
    )


ALIKE = {
    "frozen": recipe("batch", frozen=0, statistics=True),
    "synchronised": recipe("sync_batch", frozen=0),
    "recomputed": recipe("sync_batch", frozen=0, every=2),
}
"""Recipes with BatchNorm whose gradients are the same with any number of processes."""


def step_of(config: RunConfig, ranks: Ranks) -> tuple[Step, Recorder]:
    spec = spec_of(**config.model.model_dump(), input_size=config.data.input_size)
    step = assemble_step(config, spec, None, None, print, ranks=ranks)
    recorder = Recorder(step.model)
    step.optimizer = recorder
    step.model.train()
    return step, recorder


def group(samples: Samples, sizes: Sequence[int], ranks: Ranks) -> list[Batch]:
    """The first images of a split in batches of these sizes, this process's share of each."""
    cuts = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    return [samples.load(0, ranks.share(indices)) for indices in cuts]


def results(ranks: Ranks) -> dict[str, Any]:
    """Everything that must be the same with any number of processes, and what each process saw by itself."""
    config = recipe("group")
    train, val = (
        Samples(open_split(config.data, split, in_channels=1, num_classes=10), preprocess_of(config.data, 1))
        for split in ("train", "val")
    )
    step, recorder = step_of(config, ranks)
    found: dict[str, Any] = {}
    # Uneven shares, then fewer images than processes.
    for name, sizes in (("uneven", (9, 4)), ("few", (1,))):
        verdict, seen = step.run(group(train, sizes, ranks), 0, 0, 0.1)
        assert verdict == "go"
        found |= {f"{name} {key}": gradient for key, gradient in recorder.gradients.items()}
        found[f"{name} window"] = np.array([seen.loss_sum, seen.correct, seen.count])
    report = BrokenReport(0.0, len(val))
    result = evaluate(step.model, Loader(val), 16, report, lambda: None, ranks)
    found |= {"evaluation": np.array([result.loss, result.top1, result.top5]), "confusion": result.confusion}
    for name, other in ALIKE.items():
        step, recorder = step_of(other, ranks)
        assert step.run(group(train, (9, 4), ranks), 0, 0, 0.1)[0] == "go"
        found |= {f"{name} {key}": gradient for key, gradient in recorder.gradients.items()}
        state = {key: np.asarray(tensor) for key, tensor in step.model.state_dict().items()}
        found |= {f"{name} moved {key}": value for key, value in state.items() if key.endswith(STATISTICS)}
    step, _ = step_of(recipe("batch"), ranks)
    step.run(group(train, (9,), ranks), 0, 0, 0.1)
    statistics = {name: np.asarray(value) for name, value in step.model.state_dict().items() if "_mean" in name}
    return found | {f"statistics {name}": value for name, value in statistics.items()}


def messages(ranks: Ranks) -> dict[str, Any]:
    """What the processes tell each other."""
    try:
        with ranks.together():
            if not ranks.first:
                raise DataError("the second process has no data")
        said = "nothing"
    except (DataError, ProcessError) as error:
        said = f"{error}; {error.exit_code}"
    gathered = ranks.gather({"rank": ranks.rank, "text": "é" * (3 * ranks.rank)})
    return {
        "said": np.array(said),
        "gathered": np.array(str(gathered)),
        "first": np.frombuffer(ranks.from_first(b"of the first" if ranks.first else b""), np.uint8),
    }


if __name__ == "__main__":
    members = join("cpu")
    np.savez(sys.argv[1], **results(members), **messages(members))
