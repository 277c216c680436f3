"""A whole run: from a recipe to its result, fresh or resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import paddle

from ppresnet.checkpoint import Checkpoint, Store, read
from ppresnet.config import RunConfig, dump
from ppresnet.data import Broken, BrokenReport, Loader, Samples, Source, open_split, preprocess_of
from ppresnet.errors import CheckpointError, RequestError
from ppresnet.files import DirectoryLock, atomic_write
from ppresnet.hardware import Hardware, peak_memory_mb
from ppresnet.spec import ModelSpec
from ppresnet.train.curves import draw_curves
from ppresnet.train.journal import Journal
from ppresnet.train.kernels import training_kernels
from ppresnet.train.plan import Plan
from ppresnet.train.preempt import Preemption
from ppresnet.train.progress import Progress
from ppresnet.train.resume import expect_same_run
from ppresnet.train.seeds import derive
from ppresnet.train.start import assemble_step, starting_point
from ppresnet.train.trainer import Trainer


@dataclass(frozen=True)
class RunResult:
    """What a run achieved; `top1` (percent) and `loss` are the best checkpoint's.

    `images_per_second` is this process's training rate without evaluation and saving, None where it trained nothing.
    """

    top1: float
    loss: float
    images_per_second: float | None
    peak_memory_mb: float
    checkpoint: str
    last: str


def train(
    config: RunConfig,
    output: Path,
    hardware: Hardware,
    *,
    resume: bool = False,
    repeat: Mapping[str, Any] | None = None,
    report: Callable[[str], None] = print,
) -> RunResult:
    """Train a recipe into a folder, which holds afterwards what the README lists.

    Args:
        config: the recipe.
        output: folder of the run.
        hardware: what was chosen for this process; kept with the run.
        resume: go on from the newest checkpoint that verifies; a run without any starts from the beginning.
        repeat: hardware.json of the run that is resumed.
        report: is given lines for the user.

    Raises:
        RequestError: the output holds a run and `resume` is not set, or data or weights do not fit.
        PpresnetError: see `Trainer.run`.
    """
    train_source, val_source = _open(config, "train"), _open(config, "val")
    store = Store(output / "checkpoints", keep=config.checkpoint.keep)
    if not resume and (output / "config.yaml").exists():
        raise RequestError(f"{output} already holds a run; add --resume to go on with it, or choose another --output")
    with ExitStack() as stack:
        stack.enter_context(DirectoryLock(output))
        newest = store.latest(report=report) if resume else None
        restored = read(newest) if newest is not None else None
        if restored is not None:
            expect_same_run(config, restored.config)
        spec, initial = starting_point(config, restored)
        atomic_write(output / "config.yaml", dump(config))
        paddle.set_device(hardware.device)
        kernels = stack.enter_context(training_kernels(config, report, repeat))
        atomic_write(output / "hardware.json", json.dumps(asdict(hardware) | kernels, indent=2) + "\n")
        trainer = _assemble(config, output, (spec, initial), restored, (train_source, val_source), store, stack, report)
        report(_opening(trainer, newest))
        trainer.run()
        trainer.train_broken.write(output / "broken.json")
    draw_curves(output / "metrics.jsonl", output / "curves.png")
    result = _result(trainer)
    atomic_write(output / "result.json", json.dumps(asdict(result), indent=2) + "\n")
    return result


def _open(config: RunConfig, split: Literal["train", "val"]) -> Source:
    model = config.model
    return open_split(config.data, split, in_channels=model.in_channels, num_classes=model.num_classes)


def _assemble(
    config: RunConfig,
    output: Path,
    start: tuple[ModelSpec, Checkpoint | None],
    restored: Checkpoint | None,
    sources: tuple[Source, Source],
    store: Store,
    stack: ExitStack,
    report: Callable[[str], None],
) -> Trainer:
    (spec, initial), (train_source, val_source) = start, sources
    step = assemble_step(config, spec, initial, restored, report)
    progress = Progress(classes=list(train_source.classes))
    if restored is not None:
        progress = Progress.from_dict(restored.progress)
        progress.attach(step)
    broken = BrokenReport(config.data.max_broken, len(train_source))
    broken.add(Broken(name, reason) for name, reason in progress.broken.items())
    preprocess = preprocess_of(config.data, config.model.in_channels)
    augmented = Samples(train_source, preprocess, config.data.augment, seed=derive(config.seed, "augment"))
    plan = Plan(len(train_source), config.train.batch_size, config.train.accumulate, config.seed)
    journal = Journal(output, plan.steps_per_epoch * config.train.epochs, config.log.visualdl)
    journal.rewind(progress.journal_bytes)
    workers = config.data.workers
    return Trainer(
        config=config,
        spec=spec,
        step=step,
        plan=plan,
        train_loader=stack.enter_context(Loader(augmented, workers=workers)),
        val_loader=stack.enter_context(Loader(Samples(val_source, preprocess), workers=workers)),
        store=store,
        journal=stack.enter_context(journal),
        preemption=stack.enter_context(Preemption()),
        progress=progress,
        train_broken=broken,
    )


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
        raise CheckpointError(f"{store.directory} records no evaluation; train at least one epoch")
    return RunResult(
        top1=best.top1,
        loss=best.loss,
        images_per_second=trainer.throughput.rate or None,
        peak_memory_mb=peak_memory_mb(),
        checkpoint=str(store.path(best.step)),
        last=str(store.path(trainer.progress.step)),
    )
