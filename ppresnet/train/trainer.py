"""The training loop."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from paddle import nn
from paddle.optimizer import Optimizer

from ppresnet.checkpoint import Checkpoint, Store
from ppresnet.checkpoint.state import restore_weights, weights_of
from ppresnet.config import RunConfig, to_dict
from ppresnet.data import Batch, Broken, BrokenReport, Loader
from ppresnet.errors import DivergedError, InterruptedRunError
from ppresnet.spec import ModelSpec
from ppresnet.train.evaluate import evaluate
from ppresnet.train.journal import Journal
from ppresnet.train.metrics import Evaluation
from ppresnet.train.optim import optimizer_state, restore_optimizer
from ppresnet.train.plan import Plan
from ppresnet.train.preempt import Preemption
from ppresnet.train.progress import Best, Progress
from ppresnet.train.ranks import Ranks
from ppresnet.train.schedule import learning_rate
from ppresnet.train.seeds import seed_paddle
from ppresnet.train.sharing import shared_checkpoint
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
    throughput: Throughput = field(default_factory=Throughput)

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
            self._save()
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
            self.journal.say(f"step {progress.step} is left out: its loss or gradients are NaN, infinite or far off")
        else:
            self._undo(group, last=verdict == "diverged")
        progress.step += 1

    def _undo(self, group: Sequence[Batch], last: bool) -> None:
        """Go back to the last good checkpoint, or end the run where that was done often enough or there is none."""
        step, guard = self.progress.step, self.progress.guard
        fault = next((one for one in self.ranks.gather(self.step.fault(group)) if one), _NO_LAYER)
        with self.ranks.together():
            newest = self.store.latest(self.journal.say) if self.ranks.first else None
        checkpoint = None if last else shared_checkpoint(newest, self.ranks)
        if checkpoint is None:
            raise DivergedError(
                f"step {step}: {self.config.guard.skips + 1} bad steps in a row; {fault}; the weights were not changed "
                "by them and the last checkpoint is good; lower optim.lr, lengthen schedule.warmup_epochs or set "
                "optim.clip_norm, and start again"
            )
        self._restore(checkpoint)
        self.progress.guard.rollbacks = guard.rollbacks
        self.journal.say(
            f"step {step}: {fault}; back to step {self.progress.step}, from there with half the learning rate"
        )
        raise _RolledBack

    def _restore(self, checkpoint: Checkpoint) -> None:
        restore_weights(self.model, checkpoint.weights)
        restore_optimizer(self.optimizer, self.model, checkpoint.optimizer)
        if self.step.ema is not None:
            self.step.ema.restore(checkpoint.ema)
        self.progress = Progress.from_dict(checkpoint.progress)
        self.progress.attach(self.step)
        self.journal.rewind(self.progress.journal_bytes)

    def learning_rate(self) -> float:
        """Return the learning rate of the step that comes next."""
        config = self.config
        steps, epochs = self.plan.steps_per_epoch, config.train.epochs
        return learning_rate(config.schedule, config.optim.lr, self.progress.step, steps, epochs)

    def _after_step(self) -> None:
        progress, log = self.progress, self.config.log
        if progress.step % log.every == 0:
            rate = self.optimizer.get_lr()
            loss, top1 = progress.window.close()
            record = {"epoch": progress.epoch, "lr": rate, "loss": loss, "top1": top1}
            self.journal.record("train", progress.step, record)
            self.journal.scalars("speed", progress.step, {"images_per_second": self.throughput.rate})
            epochs = self.config.train.epochs
            self.journal.show(progress.step, f"epoch {progress.epoch + 1}/{epochs}", self.throughput.rate, loss)
        self._leave_if_asked()
        every = self.config.checkpoint.every_steps
        if every is not None and progress.step % every == 0:
            self._save()

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
            size, leave = config.train.batch_size, self._leave_if_asked
            with self.step.averaged():
                result = evaluate(self.model, self.val_loader, size, broken, leave, self.ranks)
        progress.epoch, progress.batch = progress.epoch + 1, 0
        improved = result is not None and self._note(result)
        if last or improved or self._out_of_patience() or progress.epoch % config.checkpoint.every_epochs == 0:
            self._save()

    def _note(self, result: Evaluation) -> bool:
        progress = self.progress
        record = {"epoch": progress.epoch, "loss": result.loss, "top1": result.top1, "top5": result.top5}
        self.journal.record("eval", progress.step, record)
        self.journal.say(
            f"epoch {progress.epoch}/{self.config.train.epochs}: top-1 {result.top1:.2f} %, loss {result.loss:.4f}, "
            f"{self.throughput.rate:.0f} images/s"
        )
        if progress.best is not None and result.top1 <= progress.best.top1:
            progress.stale += 1
            return False
        progress.stale = 0
        progress.best = Best(progress.step, result.top1, result.loss)
        return True

    def _out_of_patience(self) -> bool:
        patience = self.config.train.patience
        return patience is not None and self.progress.stale >= patience

    def _save(self) -> None:
        with self.ranks.together():
            if self.ranks.first:
                self._write()

    def _write(self) -> None:
        self.progress.journal_bytes = self.journal.sync()
        self.progress.note(self.step)
        self.progress.broken = {item.name: item.reason for item in self.train_broken.broken}
        checkpoint = Checkpoint(
            weights=weights_of(self.model),
            optimizer=optimizer_state(self.optimizer, self.model),
            ema=self.step.ema.state() if self.step.ema is not None else {},
            spec=self.spec.model_dump(mode="json"),
            config=to_dict(self.config),
            progress=self.progress.to_dict(),
        )
        self.store.save(checkpoint, self.progress.step)
        best = self.progress.best
        self.store.prune(self.store.path(best.step) if best is not None else None)


_NO_LAYER = "every layer's output is finite here, so that the loss or a gradient is at fault"


class _Asked(Exception):  # noqa: N818
    """A signal asks the run to leave; it does so where the network holds its own weights and not their average."""


class _RolledBack(Exception):  # noqa: N818
    """The state is that of an earlier checkpoint; the epoch starts again from there."""
