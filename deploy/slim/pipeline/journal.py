"""Which steps are done, and from what: a small JSON that is replaced whole after every change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.slim.pipeline.step import Step, fingerprint
from ppresnet.errors import PpresnetError, RequestError
from ppresnet.files import atomic_write, remove_directory

FILE, RESULTS = "journal.json", "results"


class Entry(BaseModel):
    """What is known of a step.

    Attributes:
        key: sha256 of its settings and inputs.
        products: sha256 of its result and of what later steps read, by path below the journal's folder; empty while it
            runs.
        seconds: that it took, the last time it ran.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    products: dict[str, str] = {}
    seconds: float = 0.0


class Journal:
    """The steps of one folder.

    Args:
        folder: of the journal, with a folder for each step; absolute.

    Raises:
        RequestError: the file is no journal.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: dict[str, Entry] = {}
        path = folder / FILE
        if path.exists():
            try:
                steps = json.loads(path.read_bytes())["steps"]
                self.entries = {name: Entry.model_validate(entry) for name, entry in steps.items()}
            except (OSError, ValueError, LookupError, TypeError, AttributeError, ValidationError) as error:
                raise RequestError(
                    f"{path} is no journal ({error}); move it away, or choose another --output"
                ) from error

    def result_file(self, step: Step) -> Path:
        """Return where a step's result stands."""
        return self.folder / RESULTS / f"{step.name}.json"

    def finished(self, step: Step) -> dict[str, Any] | None:
        """Return the result of a step that was done with this key and left what is still there, else None."""
        entry = self.entries.get(step.name)
        if entry is None or entry.key != step.key() or not entry.products:
            return None
        try:
            intact = all(fingerprint(self.folder / path) == sha for path, sha in entry.products.items())
        except PpresnetError:
            return None
        return self._result(step) if intact else None

    def start(self, step: Step) -> None:
        """Note that a step runs, with an empty folder unless it goes on with what the same step left there.

        Raises:
            RequestError: the folder holds what no step wrote.
            StorageError: the folder could not be emptied, or the journal not be written.
        """
        entry, folder, key = self.entries.get(step.name), self.folder / step.name, step.key()
        if folder.exists() and not (step.resumes and entry is not None and entry.key == key):
            if entry is None and any(folder.iterdir()):
                raise RequestError(f"{folder} holds what no step wrote; move it away, or choose another --output")
            remove_directory(folder)
        self._write(step, Entry(key=key))

    def finish(self, step: Step, seconds: float) -> dict[str, Any]:
        """Note that a step is done, and return its result.

        Raises:
            PpresnetError: what it should have left is missing.
        """
        result = self._result(step)
        paths = [self.result_file(step), *(Path(result[key]) for key in step.products)]
        found = {path.relative_to(self.folder).as_posix(): fingerprint(path) for path in paths}
        self._write(step, Entry(key=step.key(), products=found, seconds=seconds))
        return result

    def _result(self, step: Step) -> dict[str, Any]:
        try:
            result: dict[str, Any] = json.loads(self.result_file(step).read_bytes())
        except (OSError, ValueError) as error:
            raise PpresnetError(f"{step.name} left no result: {error}") from error
        return result

    def _write(self, step: Step, entry: Entry) -> None:
        self.entries[step.name] = entry
        steps = {name: each.model_dump() for name, each in self.entries.items()}
        atomic_write(self.folder / FILE, json.dumps({"schema_version": 1, "steps": steps}, indent=1) + "\n")
