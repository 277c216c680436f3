"""The state of a run in its store: written, and put back after steps that went wrong."""

from __future__ import annotations

from dataclasses import dataclass

from ppresnet.checkpoint import Checkpoint, Store
from ppresnet.checkpoint.state import restore_weights
from ppresnet.config import RunConfig, to_dict
from ppresnet.data import BrokenReport
from ppresnet.spec import ModelSpec
from ppresnet.train.amp import full_weights
from ppresnet.train.journal import Journal
from ppresnet.train.optim import optimizer_state, restore_optimizer
from ppresnet.train.progress import Progress
from ppresnet.train.sharing import shared_checkpoint
from ppresnet.train.step import Step


@dataclass
class Snapshots:
    """Saves and restores everything that decides how a run goes on.

    Attributes:
        config: the recipe.
        spec: of the network.
        step: holds network, optimiser, average, guard and loss scale.
        store: where checkpoints go.
        journal: is cut back to where it stood.
        broken: unreadable training images.
    """

    config: RunConfig
    spec: ModelSpec
    step: Step
    store: Store
    journal: Journal
    broken: BrokenReport

    def save(self, progress: Progress) -> None:
        """Write a checkpoint of this moment, in the first process; all call it.

        Raises:
            StorageError: it could not be written; the previous one is intact.
        """
        with self.step.ranks.together():
            if self.step.ranks.first:
                self._write(progress)

    def go_back(self) -> Progress | None:
        """Return to the newest checkpoint that verifies, and return where the run stood then; None without any."""
        ranks = self.step.ranks
        with ranks.together():
            newest = self.store.latest(self.journal.say) if ranks.first else None
        checkpoint = shared_checkpoint(newest, ranks)
        if checkpoint is None:
            return None
        restore_weights(self.step.model, checkpoint.weights)
        restore_optimizer(self.step.optimizer, self.step.model, checkpoint.optimizer)
        if self.step.ema is not None:
            self.step.ema.restore(checkpoint.ema)
        progress = Progress.from_dict(checkpoint.progress)
        progress.attach(self.step)
        self.journal.rewind(progress.journal_bytes)
        return progress

    def _write(self, progress: Progress) -> None:
        progress.journal_bytes = self.journal.sync()
        progress.note(self.step)
        progress.broken = {item.name: item.reason for item in self.broken.broken}
        checkpoint = Checkpoint(
            weights=full_weights(self.step.model, self.step.optimizer),
            optimizer=optimizer_state(self.step.optimizer, self.step.model),
            ema=self.step.ema.state() if self.step.ema is not None else {},
            spec=self.spec.model_dump(mode="json"),
            config=to_dict(self.config),
            progress=progress.to_dict(),
        )
        self.store.save(checkpoint, progress.step)
        best = progress.best
        self.store.prune(self.store.path(best.step) if best is not None else None)
