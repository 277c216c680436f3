"""A whole run: from a recipe to its result, fresh or resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import paddle

from ppresnet.checkpoint import Checkpoint, Store
from ppresnet.checkpoint.state import weights_of, weights_sha
from ppresnet.config import RunConfig, dump
from ppresnet.data import Broken, BrokenReport, Loader, Samples, Source, open_split, preprocess_of
from ppresnet.errors import CheckpointError, ConfigError, RequestError
from ppresnet.files import DirectoryLock, atomic_write
from ppresnet.hardware import Hardware, peak_memory_mb
from ppresnet.spec import ModelSpec
from ppresnet.train.curves import draw_curves
from ppresnet.train.journal import Journal, NoJournal
from ppresnet.train.kernels import training_kernels
from ppresnet.train.monitors import Monitors, expect_packages, open_monitors
from ppresnet.train.plan import Plan
from ppresnet.train.preempt import Preemption
from ppresnet.train.progress import Progress
from ppresnet.train.ranks import ALONE, Ranks
from ppresnet.train.resume import expect_same_images, expect_same_run, expect_same_teacher
from ppresnet.train.seeds import derive
from ppresnet.train.sharing import shared_checkpoint
from ppresnet.train.start import assemble_step, starting_point, teacher_of
from ppresnet.train.step import Step
from ppresnet.train.trainer import Trainer


@dataclass(frozen=True)
class RunResult:
    """What a run achieved; `top1` (percent), `loss` and `map` (percent, with several labels) are the best checkpoint's.

    `images_per_second` is the training rate without evaluation and saving, None where nothing was trained;
    `peak_memory_mb` is the sum over all processes.
    """

    top1: float
    loss: float
    images_per_second: float | None
    peak_memory_mb: float
    checkpoint: str
    last: str
    map: float | None = None


def train(
    config: RunConfig,
    output: Path,
    hardware: Hardware,
    *,
    resume: bool = False,
    repeat: Mapping[str, Any] | None = None,
    report: Callable[[str], None] = print,
    ranks: Ranks = ALONE,
) -> RunResult:
    """Train a recipe into a folder, which holds afterwards what the README lists.

    Args:
        config: the recipe.
        output: folder of the run.
        hardware: what was chosen for this process; kept with the run.
        resume: go on from the newest checkpoint that verifies; a run without any starts from the beginning.
        repeat: hardware.json of the run that is resumed.
        report: is given lines for the user.
        ranks: the processes that train together; all call this, and the first one writes the folder.

    Raises:
        RequestError: the output holds a run and `resume` is not set, or data or weights do not fit.
        PpresnetError: see `Trainer.run`.
    """
    store = Store(output / "checkpoints", keep=config.checkpoint.keep)
    with ExitStack() as stack:
        with ranks.together():
            _expect_shares(config, ranks)
            expect_packages(config.log)
            sources = _open(config, "train"), _open(config, "val")
            newest = _claim(output, store, resume, report, stack) if ranks.first else None
        restored = _restored(config, newest, ranks)
        if ranks.size == 1:
            paddle.set_device(hardware.device)
        spec, initial = starting_point(config, restored, ranks)
        teacher = teacher_of(config, spec, ranks)
        with ranks.together():
            kernels = stack.enter_context(training_kernels(config, report, repeat))
            step = assemble_step(config, spec, initial, restored, report, teacher, ranks)
            if ranks.first:
                _describe(config, output, asdict(hardware) | kernels | {"processes": ranks.size})
            trainer = _assemble(config, output, spec, step, restored, sources, store, stack)
        report(_opening(trainer, newest))
        trainer.run()
        result = _result(trainer)
        if ranks.first:
            _conclude(trainer, output, result)
    return result


def _restored(config: RunConfig, newest: Path | None, ranks: Ranks) -> Checkpoint | None:
    restored = shared_checkpoint(newest, ranks)
    if restored is not None:
        expect_same_run(config, restored.config)
    return restored


def _describe(config: RunConfig, output: Path, machine: Mapping[str, Any]) -> None:
    atomic_write(output / "config.yaml", dump(config))
    atomic_write(output / "hardware.json", json.dumps(machine, indent=2) + "\n")


def _conclude(trainer: Trainer, output: Path, result: RunResult) -> None:
    trainer.train_broken.write(output / "broken.json")
    draw_curves(output / "metrics.jsonl", output / "curves.png")
    atomic_write(output / "result.json", json.dumps(asdict(result), indent=2) + "\n")


def _expect_shares(config: RunConfig, ranks: Ranks) -> None:
    if config.train.batch_size < ranks.size:
        raise ConfigError(
            f"train.batch_size: expected an image for each of {ranks.size} processes, which share a batch, found "
            f"{config.train.batch_size}; make it larger or use fewer processes"
        )


def _claim(output: Path, store: Store, resume: bool, report: Callable[[str], None], stack: ExitStack) -> Path | None:
    """Lock the folder, and return the checkpoint to go on from."""
    if not resume and (output / "config.yaml").exists():
        raise RequestError(f"{output} already holds a run; add --resume to go on with it, or choose another --output")
    stack.enter_context(DirectoryLock(output))
    return store.latest(report=report) if resume else None


def _open(config: RunConfig, split: Literal["train", "val"]) -> Source:
    model = config.model
    return open_split(config.data, split, in_channels=model.in_channels, num_classes=model.num_classes)


def _assemble(
    config: RunConfig,
    output: Path,
    spec: ModelSpec,
    step: Step,
    restored: Checkpoint | None,
    sources: tuple[Source, Source],
    store: Store,
    stack: ExitStack,
) -> Trainer:
    train_source, val_source = sources
    teacher = weights_sha(weights_of(step.teacher)) if step.teacher is not None else ""
    progress = Progress(classes=list(train_source.classes), images=len(train_source), teacher=teacher)
    if restored is not None:
        now, progress = progress, Progress.from_dict(restored.progress)
        expect_same_images(progress, now)
        expect_same_teacher(progress, now)
        progress.teacher = now.teacher
        progress.attach(step)
    broken = BrokenReport(config.data.max_broken, len(train_source))
    broken.add(Broken(name, reason) for name, reason in progress.broken.items())
    preprocess = preprocess_of(config.data, config.model.in_channels)
    augmented = Samples(train_source, preprocess, config.data.augment, seed=derive(config.seed, "augment"))
    plan = Plan(len(train_source), config.train.batch_size, config.train.accumulate, config.seed)
    steps = plan.steps_per_epoch * config.train.epochs
    journal = stack.enter_context(Journal(output, steps, config) if step.ranks.first else NoJournal())
    journal.rewind(progress.journal_bytes)
    val_samples = Samples(val_source, preprocess)
    monitors = _watch(config, step, val_samples, journal, stack)
    workers = config.data.workers
    return Trainer(
        config=config,
        spec=spec,
        step=step,
        plan=plan,
        train_loader=stack.enter_context(Loader(augmented, workers=workers)),
        val_loader=stack.enter_context(Loader(val_samples, workers=workers)),
        store=store,
        journal=journal,
        preemption=stack.enter_context(Preemption()),
        progress=progress,
        train_broken=broken,
        monitors=monitors,
    )


def _watch(config: RunConfig, step: Step, samples: Samples, journal: Journal, stack: ExitStack) -> Monitors | None:
    """Let the first process be watched as the recipe says; gradients are the same in all of them."""
    if not step.ranks.first:
        return None
    monitors = open_monitors(config, step.model, samples, journal.sinks, journal.isolation)
    stack.callback(monitors.close)
    step.watch = monitors.on_step
    return monitors


def _opening(trainer: Trainer, newest: Path | None) -> str:
    config, progress = trainer.config, trainer.progress
    images = len(trainer.train_loader.samples.source)
    start = f"resumed from {newest}, step {progress.step}" if newest is not None else "from the beginning"
    return (
        f"{config.name}: {trainer.spec.name} on {images} images, {config.train.epochs} epochs of "
        f"{trainer.plan.steps_per_epoch} steps; {start}"
    )


def _result(trainer: Trainer) -> RunResult:
    best, store = trainer.progress.best, trainer.store
    if best is None:
        raise CheckpointError(f"{store.directory} records no evaluation with a finite loss; train at least one epoch")
    return RunResult(
        top1=best.top1,
        loss=best.loss,
        images_per_second=trainer.throughput.rate or None,
        peak_memory_mb=float(trainer.ranks.total(np.array([peak_memory_mb()]))[0]),
        checkpoint=str(store.path(best.step)),
        last=str(store.path(trainer.progress.step)),
        map=best.map,
    )
