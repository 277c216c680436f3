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
from ppresnet.errors import CheckFailedError, ProcessError
from ppresnet.files import remove_stale_staging

Run = Callable[[str, Sequence[str]], None]


class Driver:
    """Runs steps in a folder.

    Args:
        folder: absolute; the caller holds its lock.
        execute: runs a Python command under a title, see `process.run`.
        say: is given lines for the user.
        before: is called once, before the first step that is not done yet.

    Attributes:
        journal: of the folder.
        seconds: that each step took which was asked for, in their order.

    Raises:
        RequestError: the folder holds something else.
    """

    def __init__(
        self,
        folder: Path,
        execute: Run = run,
        say: Callable[[str], None] = cli.say,
        before: Callable[[], None] | None = None,
    ) -> None:
        self.journal, self.seconds = Journal(folder), dict[str, float]()
        self._execute, self._say, self._before = execute, say, before
        for place in (folder, folder / RESULTS):
            remove_stale_staging(place)

    def do(self, step: Step) -> dict[str, Any]:
        """Return the result of a step, from the journal where it is done already.

        Raises:
            PpresnetError: it failed.
        """
        done = self.journal.finished(step)
        if done is None and self.journal.restore(step):
            self._say(f"\n== {step.name}: put back what was made with these settings")
            done = self.journal.finished(step)
        if done is not None:
            self._say(f"\n== {step.name}: done already")
        else:
            done = self._done_now(step)
        self.seconds[step.name] = self.journal.entries[step.name].seconds
        return done

    def _done_now(self, step: Step) -> dict[str, Any]:
        if self._before is not None:
            self._before()
            self._before = None
        folder, result = self.journal.folder / step.name, self.journal.result_file(step)
        if (kept := self.journal.start(step)) is not None:
            self._say(f"\n== {step.name}: other settings; what was made with the former ones is kept as {kept}")
        result.unlink(missing_ok=True)
        result.parent.mkdir(exist_ok=True)
        if step.output is not None and step.output[1]:
            folder.mkdir(exist_ok=True)
        command = step.command(folder, result)
        self._say(f"\n== {step.name}: python {' '.join(command)}")
        started = time.monotonic()
        try:
            self._execute(step.name, command)
        except ProcessError as error:
            if not (step.partial and error.exit_code == CheckFailedError.exit_code and result.exists()):
                raise
        return self.journal.finish(step, time.monotonic() - started)
