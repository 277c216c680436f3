"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import paddle
from paddle import nn
from paddle.optimizer import Optimizer

from ppresnet.checkpoint import Checkpoint, Store
from ppresnet.checkpoint.state import weights_of
from ppresnet.config import RunConfig, to_dict
from ppresnet.data import Batch, BrokenReport, Loader
from ppresnet.errors import InterruptedRunError
from ppresnet.spec import ModelSpec
from ppresnet.train.evaluate import evaluate
from ppresnet.train.guards import expect_finite
from ppresnet.train.journal import Journal
from ppresnet.train.losses import cross_entropy
from ppresnet.train.metrics import Evaluation
from ppresnet.train.optim import optimizer_state
from ppresnet.train.plan import Plan
from ppresnet.train.preempt import Preemption
from ppresnet.train.progress import Best, Progress
from ppresnet.train.schedule import learning_rate
from ppresnet.train.seeds import seed_paddle


@dataclass
class Throughput:
    """Images trained and the seconds their steps took in this process; evaluation and saving are not counted."""

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
    uninterrupted one bit for bit on the CPU.
    """

    config: RunConfig
    spec: ModelSpec
    model: nn.Layer
    optimizer: Optimizer
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
            DivergedError: NaN or Inf in the loss or a gradient.
            InterruptedRunError: SIGTERM or SIGINT came; the state is saved.
            DataError: more images are broken than tolerated.
            StorageError: a checkpoint could not be written; the previous one is intact.
        """
        while self.progress.epoch < self.config.train.epochs:
            self._train_epoch()
            self._finish_epoch()

    def _train_epoch(self) -> None:
        self.model.train()
        plan = self.plan.batches(self.progress.epoch)
        group: list[Batch] = []
        started = time.perf_counter()
        for batch in self.train_loader.run(self.progress.epoch, plan, start=self.progress.batch):
            group.append(batch)
            done = self.progress.batch + len(group)
            if len(group) < self.config.train.accumulate and done < len(plan):
                continue
            self._step(group)
            self.progress.batch = done
            self.throughput.images += sum(len(batch.labels) for batch in group)
            self.throughput.seconds += time.perf_counter() - started
            group = []
            self._after_step()
            started = time.perf_counter()

    def _step(self, group: Sequence[Batch]) -> None:
        progress, config = self.progress, self.config
        seed_paddle(config.seed, "step", progress.epoch, progress.step)
        images = sum(len(batch.labels) for batch in group)
        losses = 0.0
        for batch in group:
            self.train_broken.add(batch.broken)
            if not len(batch.labels):
                continue
            logits = self.model(paddle.to_tensor(batch.images))
            loss = cross_entropy(logits, paddle.to_tensor(batch.labels), config.train.label_smoothing)
            share = len(batch.labels) / images
            (loss if share == 1.0 else loss * share).backward()
            losses += float(loss) * share
            progress.window.add(float(loss), logits.numpy(), batch.labels)
        if images:
            expect_finite(losses, self.model, progress.step)
            self.optimizer.set_lr(self.learning_rate())
            self.optimizer.step()
            self.optimizer.clear_grad()
        progress.step += 1

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
        if self.preemption.signal_name is None:
            return
        self._save()
        raise InterruptedRunError(
            f"stopped by {self.preemption.signal_name} after step {self.progress.step}; the state is saved in "
            f"{self.store.directory}; the same command with --resume goes on exactly from there"
        )

    def _finish_epoch(self) -> None:
        progress, config = self.progress, self.config
        last = progress.epoch + 1 == config.train.epochs
        result = None
        if last or (progress.epoch + 1) % config.train.eval_every == 0:
            broken = BrokenReport(config.data.max_broken, len(self.val_loader.samples.source))
            result = evaluate(self.model, self.val_loader, config.train.batch_size, broken, self._leave_if_asked)
        progress.epoch, progress.batch = progress.epoch + 1, 0
        improved = result is not None and self._note(result)
        if last or improved or progress.epoch % config.checkpoint.every_epochs == 0:
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
            return False
        progress.best = Best(progress.step, result.top1, result.loss)
        return True

    def _save(self) -> None:
        self.progress.journal_bytes = self.journal.sync()
        self.progress.broken = {item.name: item.reason for item in self.train_broken.broken}
        checkpoint = Checkpoint(
            weights=weights_of(self.model),
            optimizer=optimizer_state(self.optimizer, self.model),
            ema={},
            spec=self.spec.model_dump(mode="json"),
            config=to_dict(self.config),
            progress=self.progress.to_dict(),
        )
        self.store.save(checkpoint, self.progress.step)
        best = self.progress.best
        self.store.prune(self.store.path(best.step) if best is not None else None)
