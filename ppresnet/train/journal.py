"""What a run tells: `metrics.jsonl`, numbers for whoever watches, and a progress bar."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ppresnet.config import RunConfig
from ppresnet.train.monitors import Isolation, Sinks, open_sinks

Record = Mapping[str, object]


class Journal:
    """Appends records to `metrics.jsonl` and shows how the run goes on stderr.

    The file holds nothing that differs between two runs of one recipe (no times, no rates), so that the metrics of a
    resumed run are byte-identical to those of an uninterrupted one. Rates go to the bar and to the sinks.

    Args:
        output: the run's folder.
        total_steps: optimiser steps of the whole run, for the bar.
        config: the recipe, whose `log` section names the sinks.

    Attributes:
        isolation: tells what fails of the sinks and monitors, and lets the run go on.
        sinks: where numbers go besides.
    """

    def __init__(self, output: Path, total_steps: int, config: RunConfig) -> None:
        self.path = output / "metrics.jsonl"
        self._console = Console(file=sys.stderr, stderr=True)
        self.isolation = Isolation(self.say)
        self.sinks: Sinks = open_sinks(config, output, self.isolation)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[rate]:.0f} images/s  loss {task.fields[loss]:.4f}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=total_steps, rate=0.0, loss=0.0)

    def __enter__(self) -> Journal:
        """Start the bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the bar and close the sinks."""
        self._bar.stop()
        self.sinks.close()

    def rewind(self, length: int) -> None:
        """Cut the file to the bytes that the restored checkpoint knew of; what came later will be written anew.

        Where it is shorter, since it was lost or copied in part, its whole lines stay, and it says so.
        """
        with self.path.open("ab+") as file:
            found = file.tell()
            if found >= length:
                file.truncate(length)
                return
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
        self.say(f"{self.path} has {found} of the {length} bytes that the checkpoint knows of; the others are lost")

    def sync(self) -> int:
        """Force the file to the disk and return its length in bytes, which the checkpoint keeps."""
        with self.path.open("ab") as file:
            os.fsync(file.fileno())
            return file.tell()

    def record(self, kind: str, step: int, record: Record) -> None:
        """Append one record; `kind` is `train` or `eval`."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "step": step, **record}) + "\n")
        self.scalars(kind, step, record)

    def scalars(self, kind: str, step: int, record: Record) -> None:
        """Give the numbers of a record to the sinks only."""
        numbers = {name: float(value) for name, value in record.items() if isinstance(value, (int, float))}
        self.sinks.write(kind, step, numbers)

    def show(self, step: int, description: str, rate: float, loss: float) -> None:
        """Move the bar; rate is in images per second."""
        self._bar.update(self._task, completed=step, description=description, rate=rate, loss=loss)

    def say(self, line: str) -> None:
        """Print one line above the bar."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class NoJournal(Journal):
    """Takes everything and writes nothing: that of all processes but the first."""

    def __init__(self) -> None:
        """Open nothing."""

    def __enter__(self) -> NoJournal:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close nothing."""

    def rewind(self, length: int) -> None:
        """Cut nothing."""

    def sync(self) -> int:
        """Return 0."""
        return 0

    def record(self, kind: str, step: int, record: Record) -> None:
        """Drop a record."""

    def scalars(self, kind: str, step: int, record: Record) -> None:
        """Drop scalars."""

    def show(self, step: int, description: str, rate: float, loss: float) -> None:
        """Show nothing."""

    def say(self, line: str) -> None:
        """Say nothing."""


def read_records(path: Path) -> list[dict[str, object]]:
    """Return the records of a `metrics.jsonl`."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
