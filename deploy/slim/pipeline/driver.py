"""Doing steps once: what the journal says is done is not done again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deploy.slim.pipeline.journal import RESULTS, Journal
from deploy.slim.pipeline.process import run
from deploy.slim.pipeline.step import Step
from ppresnet import cli
from ppresnet.files import remove_stale_staging

Run = Callable[[str, Sequence[str]], None]


class Driver:
    """Runs steps in a folder.

    Args:
        folder: absolute; the caller holds its lock.
        execute: runs a Python command under a title, see `process.run`.
        say: is given lines for the user.

    Raises:
        RequestError: the folder holds something else.
    """

    def __init__(self, folder: Path, execute: Run = run, say: Callable[[str], None] = cli.say) -> None:
        self.journal = Journal(folder)
        self._execute, self._say = execute, say
        for place in (folder, folder / RESULTS):
            remove_stale_staging(place)

    def do(self, step: Step) -> dict[str, Any]:
        """Return the result of a step, from the journal where it is done already.

        Raises:
            PpresnetError: it failed.
        """
        done = self.journal.finished(step)
        if done is not None:
            self._say(f"\n== {step.name}: done already")
            return done
        folder, result = self.journal.folder / step.name, self.journal.result_file(step)
        self.journal.start(step)
        result.unlink(missing_ok=True)
        result.parent.mkdir(exist_ok=True)
        if step.output is not None and step.output[1]:
            folder.mkdir(exist_ok=True)
        command = step.command(folder, result)
        self._say(f"\n== {step.name}: python {' '.join(command)}")
        started = time.monotonic()
        self._execute(step.name, command)
        return self.journal.finish(step, time.monotonic() - started)
