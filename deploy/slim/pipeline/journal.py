"""Which steps are done, and from what; nothing that is finished is deleted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deploy.slim.pipeline.earlier import move, name_aside
from deploy.slim.pipeline.entries import Entry, read_entries, write_entries
from deploy.slim.pipeline.places import absolute, relative
from deploy.slim.pipeline.step import Step, fingerprint
from ppresnet.errors import PpresnetError, RequestError
from ppresnet.files import atomic_write, remove_directory

FILE, RESULTS = "journal.json", "results"


class Journal:
    """The steps of one folder.

    Args:
        folder: of the journal, with a folder for each step; absolute.

    Raises:
        RequestError: the file is no journal.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries = read_entries(folder / FILE)

    def result_file(self, step: Step) -> Path:
        """Return where a step's result stands."""
        return self._result(step.name)

    def finished(self, step: Step) -> dict[str, Any] | None:
        """Return the result of a step that was done with this key and left what is still there, else None."""
        entry = self.entries.get(step.name)
        if entry is None or entry.key != step.key() or not entry.products:
            return None
        try:
            intact = all(fingerprint(self.folder / path) == sha for path, sha in entry.products.items())
        except PpresnetError:
            return None
        result: dict[str, Any] | None = absolute(self._read(step), self.folder) if intact else None
        return result

    def start(self, step: Step) -> Path | None:
        """Note that a step runs, with an empty folder unless it goes on with what the same step left there.

        Returns:
            Where the work of other settings was moved, if there was any.

        Raises:
            RequestError: the folder holds what no step wrote.
            StorageError: the folder could not be emptied, or the journal not be written.
        """
        key = step.key()
        kept = self._clear(step, key)
        self._write(step.name, Entry(key=key))
        return kept

    def restore(self, step: Step) -> bool:
        """Put back what was moved away for other settings than these, and return whether there was any.

        Raises:
            RequestError: the folder holds what no step wrote.
            StorageError: it could not be moved, or the journal not be written.
        """
        key = step.key()
        aside = name_aside(step.name, key)
        entry, current = self.entries.get(aside), self.entries.get(step.name)
        if entry is None:
            return False
        if current is None or current.key != key:
            self._clear(step, key)
            self._write(step.name, entry)
        self._move(aside, step.name)
        self._forget(aside)
        return True

    def finish(self, step: Step, seconds: float) -> dict[str, Any]:
        """Note that a step is done, and return its result.

        Raises:
            PpresnetError: what it should have left is missing.
        """
        result: dict[str, Any] = absolute(relative(self._read(step), self.folder), self.folder)
        atomic_write(self.result_file(step), json.dumps(relative(result, self.folder), indent=2) + "\n")
        paths = [self.result_file(step), *(Path(result[key]) for key in step.products)]
        found = {path.relative_to(self.folder).as_posix(): fingerprint(path) for path in paths}
        self._write(step.name, Entry(key=step.key(), products=found, seconds=seconds))
        return result

    def _clear(self, step: Step, key: str) -> Path | None:
        """Make the folder free, or leave what a step with this key can go on with; nothing finished is deleted."""
        entry, folder = self.entries.get(step.name), self.folder / step.name
        if entry is None:
            if folder.exists() and any(folder.iterdir()):
                raise RequestError(f"{folder} holds what no step wrote; move it away, or choose another --output")
        elif entry.key != key and (entry.products or (step.resumes and folder.exists())):
            return self._set_aside(step.name, entry)
        elif entry.key == key and step.resumes:
            self._remove_altered(entry)
            return None
        if folder.exists():
            remove_directory(folder)
        self._result(step.name).unlink(missing_ok=True)
        return None

    def _remove_altered(self, entry: Entry) -> None:
        """Take away the files that a step left and somebody changed, since it would go on with them."""
        for path, sha in entry.products.items():
            file = self.folder / path
            if file.is_file() and fingerprint(file) != sha:
                file.unlink()

    def _set_aside(self, name: str, entry: Entry) -> Path:
        # Noted before the move and after it, so that what a kill comes between is found in either place.
        aside = name_aside(name, entry.key)
        self._write(aside, entry)
        self._move(name, aside)
        self._forget(name)
        folder = self.folder / aside
        return folder if folder.exists() else self._result(aside)

    def _move(self, name: str, target: str) -> None:
        move(self.folder / name, self.folder / target)
        move(self._result(name), self._result(target))

    def _result(self, name: str) -> Path:
        return self.folder / RESULTS / f"{name}.json"

    def _read(self, step: Step) -> dict[str, Any]:
        try:
            result: dict[str, Any] = json.loads(self.result_file(step).read_bytes())
        except (OSError, ValueError) as error:
            raise PpresnetError(f"{step.name} left no result: {error}") from error
        return result

    def _write(self, name: str, entry: Entry) -> None:
        self.entries[name] = entry
        write_entries(self.folder / FILE, self.entries)

    def _forget(self, name: str) -> None:
        del self.entries[name]
        write_entries(self.folder / FILE, self.entries)
