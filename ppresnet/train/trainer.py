"""The training loop."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from paddle import nn
from paddle.optimizer import Optimizer

from ppresnet.checkpoint import Store
from ppresnet.config import RunConfig, scaled_lr
from ppresnet.data import Batch, Broken, BrokenReport, Loader
from ppresnet.errors import DivergedError, InterruptedRunError
from ppresnet.hardware import peak_memory_mb
from ppresnet.spec import ModelSpec
from ppresnet.train.evaluate import evaluate
from ppresnet.train.journal import Journal
from ppresnet.train.metrics import Evaluation
from ppresnet.train.monitors import Monitors
from ppresnet.train.multilabel import MultiLabelEvaluation
from ppresnet.train.plan import Plan
from ppresnet.train.preempt import Preemption
from ppresnet.train.progress import Best, Progress
from ppresnet.train.ranks import Ranks
from ppresnet.train.schedule import learning_rate
from ppresnet.train.seeds import seed_paddle
from ppresnet.train.snapshots import Snapshots
from ppresnet.train.step import Step


@dataclass
class Throughput:
    """Images that all processes trained since they started, and the seconds of their steps alone."""

    images: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.images / self.seconds if self.seconds else 0.0


@dataclass
class Trainer:
    """Runs the epochs of a recipe from wherever `progress` stands.

    Every step depends on (seed, epoch, step) and on the restored tensors alone, so that a resumed run repeats the
    uninterrupted one bit for bit on the CPU, with the same number of processes; with another it sees the same batches.
    """

    config: RunConfig
    spec: ModelSpec
    step: Step
    plan: Plan
    train_loader: Loader
    val_loader: Loader
    store: Store
    journal: Journal
    preemption: Preemption
    progress: Progress
    train_broken: BrokenReport
    monitors: Monitors | None = None
    throughput: Throughput = field(default_factory=Throughput)
    snapshots: Snapshots = field(init=False)

    def __post_init__(self) -> None:
        """Prepare what saves the state."""
        self.snapshots = Snapshots(self.config, self.spec, self.step, self.store, self.journal, self.train_broken)

    def run(self) -> None:
        """Train, evaluate and save until the last epoch is done.

        Raises:
            DivergedError: losses or gradients stay NaN, infinite or far off; the last good checkpoint is intact.
            InterruptedRunError: SIGTERM or SIGINT came; the state is saved.
            DataError: more images are broken than tolerated.
            StorageError: a checkpoint could not be written; the previous one is intact.
            ProcessError: one of these, or another error, in another process.
        """
        try:
            while self.progress.epoch < self.config.train.epochs and not self._out_of_patience():
                try:
                    self._train_epoch()
                except _RolledBack:
                    continue
                self._finish_epoch()
        except _Asked as asked:
            self.snapshots.save(self.progress)
            raise InterruptedRunError(
                f"stopped by {asked} after step {self.progress.step}; the state is saved in {self.store.directory}; "
                "the same command with --resume goes on exactly from there"
            ) from None

    @property
    def model(self) -> nn.Layer:
        """The network."""
        return self.step.model

    @property
    def optimizer(self) -> Optimizer:
        """What moves its weights."""
        return self.step.optimizer

    @property
    def ranks(self) -> Ranks:
        """The processes that train together."""
        return self.step.ranks

    def _train_epoch(self) -> None:
        self.model.train()
        plan = [self.ranks.share(indices) for indices in self.plan.batches(self.progress.epoch)]
        batches = self.train_loader.run(self.progress.epoch, plan, start=self.progress.batch)
        while self.progress.batch < len(plan):
            started = time.perf_counter()
            with self.ranks.together():
                group = list(itertools.islice(batches, self.config.train.accumulate))
            self._report_broken(group)
            self._step(group)
            self.progress.batch += len(group)
            self.throughput.seconds += time.perf_counter() - started
            self._after_step()

    def _report_broken(self, group: Sequence[Batch]) -> None:
        found = [(item.name, item.reason) for batch in group for item in batch.broken]
        if self.ranks.total(np.array([len(found)], np.int64))[0]:
            for one in self.ranks.gather(found):
                self.train_broken.add(Broken(name, reason) for name, reason in one)

    def _step(self, group: Sequence[Batch]) -> None:
        progress = self.progress
        # Each process draws masks of its own; those of the first are the ones of a single process.
        other = (self.ranks.rank,) if self.ranks.rank else ()
        seed_paddle(self.config.seed, "step", progress.epoch, progress.step, *other)
        verdict, seen = self.step.run(group, progress.epoch, progress.step, self.learning_rate())
        self.throughput.images += seen.count
        if verdict == "go":
            progress.window.merge(seen)
        elif verdict == "skip":
            fault = self.step.fault(group, progress.epoch, progress.step)
            self.journal.say(f"step {progress.step} is left out: {fault}{self._scaled()}")
        else:
            self._undo(group, last=verdict == "diverged")
        progress.step += 1

    def _scaled(self) -> str:
        return f"; the loss scale is {self.step.scale.scale:g} now" if self.step.scale is not None else ""

    def _undo(self, group: Sequence[Batch], last: bool) -> None:
        """Go back to the last good checkpoint, or end the run where that was done often enough or there is none."""
        step, guard = self.progress.step, self.progress.guard
        fault = self.step.fault(group, self.progress.epoch, step)
        progress = None if last else self.snapshots.go_back()
        if progress is None:
            kept = "the last checkpoint is good" if self.store.steps() else "there is no checkpoint yet"
            raise DivergedError(
                f"step {step}: {self.config.guard.skips + 1} bad steps in a row; {fault}; the weights were not changed "
                f"by them and {kept}; lower optim.lr, lengthen schedule.warmup_epochs or set optim.clip_norm, and "
                "start again"
            )
        self.progress = progress
        self.progress.guard.rollbacks, self.progress.guard.skipped = guard.rollbacks, 0
        self.journal.say(
            f"step {step}: {fault}; back to step {self.progress.step}, from there with half the learning rate"
        )
        raise _RolledBack

    def learning_rate(self) -> float:
        """Return the learning rate of the step that comes next."""
        config = self.config
        steps, epochs = self.plan.steps_per_epoch, config.train.epochs
        base = scaled_lr(config.optim, config.train)
        return learning_rate(config.schedule, base, self.progress.step, steps, epochs)

    def _after_step(self) -> None:
        progress, log = self.progress, self.config.log
        if progress.step % log.every == 0:
            rate = self.optimizer.get_lr()
            loss, top1 = progress.window.close()
            record = {"epoch": progress.epoch, "lr": rate, "loss": loss, "top1": top1}
            self.journal.record("train", progress.step, record)
            self.journal.scalars("speed", progress.step, {"images_per_second": self.throughput.rate})
            self.journal.scalars("run", progress.step, self._standing())
            epochs = self.config.train.epochs
            self.journal.show(progress.step, f"epoch {progress.epoch + 1}/{epochs}", self.throughput.rate, loss)
        self._leave_if_asked()
        every = self.config.checkpoint.every_steps
        if every is not None and progress.step % every == 0:
            self.snapshots.save(self.progress)

    def _standing(self) -> dict[str, float]:
        guard, steps = self.step.guard, self.plan.steps_per_epoch * self.config.train.epochs
        memory = {"peak_memory_mb": peak_memory_mb()}
        return {"steps": steps, "bad_steps": guard.skipped, "rollbacks": guard.rollbacks} | memory

    def _leave_if_asked(self) -> None:
        name = self.preemption.agreed(self.ranks)
        if name is not None:
            raise _Asked(name)

    def _finish_epoch(self) -> None:
        progress, config = self.progress, self.config
        last = progress.epoch + 1 == config.train.epochs
        result = None
        if last or (progress.epoch + 1) % config.train.eval_every == 0:
            broken = BrokenReport(config.data.max_broken, len(self.val_loader.samples.source))
            size, leave, loss = config.train.batch_size, self._leave_if_asked, config.train.loss
            with self.step.averaged(), self.step.cast():
                result = evaluate(self.model, self.val_loader, size, broken, leave, self.ranks, loss)
                if self.monitors is not None:
                    self.monitors.on_eval(progress.step)
        progress.epoch, progress.batch = progress.epoch + 1, 0
        improved = result is not None and self._note(result)
        if last or improved or self._out_of_patience() or progress.epoch % config.checkpoint.every_epochs == 0:
            self.snapshots.save(self.progress)

    def _note(self, result: Evaluation | MultiLabelEvaluation) -> bool:
        progress, figures = self.progress, result.figures()
        precision = figures.get("map")
        self.journal.record("eval", progress.step, {"epoch": progress.epoch, **figures})
        self.journal.say(
            f"epoch {progress.epoch}/{self.config.train.epochs}: top-1 {result.top1:.2f} %, "
            f"{'' if precision is None else f'mAP {precision:.2f} %, '}loss {result.loss:.4f}, "
            f"{self.throughput.rate:.0f} images/s"
        )
        if not math.isfinite(result.loss):
            self.journal.say(f"epoch {progress.epoch}: the loss of this evaluation is {result.loss}; it cannot be best")
        elif progress.best is None or result.score > progress.best.score:
            progress.stale = 0
            progress.best = Best(progress.step, result.top1, result.loss, precision)
            return True
        progress.stale += 1
        return False

    def _out_of_patience(self) -> bool:
        patience = self.config.train.patience
        return patience is not None and self.progress.stale >= patience


class _Asked(Exception):  # noqa: N818
    """A signal asks the run to leave; it does so where the network holds its own weights and not their average."""


class _RolledBack(Exception):  # noqa: N818
    """The state is that of an earlier checkpoint; the epoch starts again from there."""
