"""How checkpoints are kept: folders `step-N/` of safetensors and JSON, whole or absent, newest that verifies first."""

import difflib
import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from ppresnet import files
from ppresnet.checkpoint.codec import OPTIONAL, REQUIRED, Checkpoint, decode, encode
from ppresnet.errors import CheckpointError

__all__ = ["Checkpoint", "Report", "Store", "read", "resolve"]

Report = Callable[[str], None]

_STEP = re.compile(r"step-(\d{8,})")
_EXPECTED = "expected a step folder (step-00000123), a checkpoints folder or a run folder that holds checkpoints/"
_warn = logging.getLogger(__name__).warning


class Store:
    """The checkpoints of one run, in one folder.

    Args:
        directory: the folder of the `step-N/` folders; made by the first save.
        keep: how many of the newest verified ones `prune` leaves.
    """

    def __init__(self, directory: str | Path, keep: int = 3) -> None:
        if keep < 1:
            raise ValueError(f"keep is {keep}, expected at least 1")
        self.directory = Path(directory)
        self.keep = keep

    def steps(self) -> list[Path]:
        """Return all step folders, newest first, verified or not."""
        try:
            folders = [path for path in self.directory.iterdir() if path.is_dir()] if self.directory.is_dir() else []
        except OSError as error:
            raise CheckpointError(f"{self.directory} cannot be listed: {error}; check the permissions") from error
        numbered = [(int(match[1]), path) for path in folders if (match := _STEP.fullmatch(path.name))]
        return [path for _, path in sorted(numbered, reverse=True)]

    def path(self, step: int) -> Path:
        """Return the folder of a step, there or not."""
        return self.directory / f"step-{step:08d}"

    def save(self, checkpoint: Checkpoint, step: int) -> Path:
        """Write a checkpoint and return its folder; what was saved before stays as it is until this one is whole.

        Raises:
            ValueError: `step` is negative, or the content cannot be stored (dtype, NaN in JSON).
            StorageError: it could not be written; no part of it is left and the previous ones are untouched.
        """
        if step < 0:
            raise ValueError(f"step is {step}, expected 0 or more")
        contents = encode(checkpoint)
        files.remove_stale_staging(self.directory)
        target = self.path(step)
        if target.exists():
            if _holds(target, contents):
                return target
            if _refusal(target):
                files.remove_directory(target)
        with files.staged_directory(target, replace=True) as staging:
            for name, data in contents.items():
                (staging / name).write_bytes(data)
        return target

    def latest(self, report: Report = _warn) -> Path | None:
        """Return the newest step folder that verifies, or None; every newer one is reported with the reason."""
        for path in self.steps():
            reason = _refusal(path)
            if not reason:
                return path
            report(f"checkpoint {path.name} refused: {reason}")
        return None

    def prune(self, best: Path | None = None) -> list[Path]:
        """Delete all but the `keep` newest that verify and `best`; nothing unless the newest verifies.

        Returns:
            The folders that were deleted.

        Raises:
            StorageError: one could not be deleted.
        """
        kept: list[Path] = []
        doomed: list[Path] = []
        for number, path in enumerate(self.steps()):
            whole = len(kept) < self.keep and not _refusal(path)
            if number == 0 and not whole:
                return []
            (kept if whole else doomed).append(path)
        doomed = [path for path in doomed if best is None or path.resolve() != best.resolve()]
        for path in doomed:
            files.remove_directory(path)
        return doomed


def read(path: str | Path) -> Checkpoint:
    """Verify a step folder and return what it holds; every byte is checked before any is parsed.

    Raises:
        CheckpointError: it is missing, incomplete, altered, or no checkpoint.
    """
    folder = _existing_folder(Path(path))
    contents = files.read_verified(folder)
    _check_names(folder, set(contents))
    try:
        return decode(contents)
    except ValueError as error:
        raise CheckpointError(f"{folder} verifies but cannot be understood: {error}; save it again") from error


def resolve(path: str | Path, report: Report = _warn) -> Path:
    """Return the verified step folder that `path` means.

    A step folder means itself. A checkpoints folder, or a run folder holding `checkpoints/`, means the best step that
    its newest verified checkpoint records as `{"best": {"step": N}}` in `progress`, else that newest one.

    Raises:
        CheckpointError: there is no such path, or nothing in it verifies.
    """
    folder = _existing_folder(Path(path))
    if (folder / files.MANIFEST).exists() or _STEP.fullmatch(folder.name):
        if reason := _refusal(folder):
            raise CheckpointError(reason)
        return folder
    store = Store(folder / "checkpoints" if (folder / "checkpoints").is_dir() else folder)
    if not store.steps():
        raise CheckpointError(f"{folder} holds no checkpoint; {_EXPECTED}")
    refused: list[str] = []
    newest = store.latest(refused.append)
    if newest is None:
        raise CheckpointError(f"no checkpoint in {store.directory} verifies:\n" + "\n".join(refused))
    for line in refused:
        report(line)
    return _best(store, newest, report)


def _best(store: Store, newest: Path, report: Report) -> Path:
    best = read(newest).progress.get("best")
    step = best.get("step") if isinstance(best, dict) else None
    if not isinstance(step, int) or store.path(step) == newest:
        return newest
    if reason := _refusal(store.path(step)):
        report(f"best checkpoint {store.path(step).name} refused, {newest.name} used instead: {reason}")
        return newest
    return store.path(step)


def _existing_folder(path: Path) -> Path:
    if path.is_dir():
        return path
    if path.exists():
        raise CheckpointError(
            f"{path} is a file; {_EXPECTED}. Weights of other programs become a checkpoint with tools/convert.py"
        )
    siblings = []
    with suppress(OSError):
        siblings = [entry.name for entry in path.parent.iterdir()]
    close = difflib.get_close_matches(path.name, siblings, n=1)
    hint = f"; did you mean {path.parent / close[0]}?" if close else ""
    raise CheckpointError(f"no checkpoint at {path}{hint}; {_EXPECTED}")


def _refusal(path: Path) -> str:
    """Return why `path` is no verified checkpoint, or ''."""
    try:
        files.verify_manifest(path)
        _check_names(path, {entry.name for entry in path.iterdir()} - {files.MANIFEST})
    except (CheckpointError, OSError) as error:
        return str(error)
    return ""


def _check_names(folder: Path, names: set[str]) -> None:
    if missing := sorted(REQUIRED - names):
        raise CheckpointError(f"{folder} is no checkpoint: it has no {missing[0]}; {_EXPECTED}")
    if unknown := sorted(names - REQUIRED - OPTIONAL):
        raise CheckpointError(f"{folder} holds {unknown[0]}, which this version does not know; use a newer ppresnet")


def _holds(path: Path, contents: Mapping[str, bytes]) -> bool:
    """Whether `path` verifies and holds exactly `contents`."""
    manifest = path / files.MANIFEST
    same = manifest.is_file() and manifest.read_bytes() == files.manifest_bytes(contents)
    return same and not _refusal(path)
