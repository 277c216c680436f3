"""A step: one command of the project, what it reads, and what it leaves."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppresnet.config import load
from ppresnet.errors import PpresnetError
from ppresnet.files import MANIFEST, verify_manifest
from ppresnet.train.resume import deciding

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Step:
    """One command and its folder.

    Attributes:
        name: of the step, and of its folder.
        program: a file such as `tools/train.py`, or a module such as `deploy.slim.plan`.
        settings: arguments that are no paths.
        inputs: flag and path of what it reads; a flag may be the start of an override, `-o init_from=`.
        output: flag and path below the step's folder of what it writes; empty where it writes its result alone.
        products: keys of its result that hold paths of what later steps read.
        resumes: whether the command goes on with what a killed one left in the folder.
        data_may_move: whether its images may stand elsewhere without changing the result, as when a training resumes.
        partial: whether it leaves its result, with `failures` in it, where it ends with exit code 3 for a part of it.
    """

    name: str
    program: str
    settings: tuple[str, ...] = ()
    inputs: tuple[tuple[str, Path], ...] = ()
    output: tuple[str, str] | None = ("--output", "")
    products: tuple[str, ...] = ()
    resumes: bool = False
    data_may_move: bool = False
    partial: bool = False

    def command(self, folder: Path, result: Path) -> list[str]:
        """Return the arguments for a Python interpreter.

        Args:
            folder: of the step.
            result: JSON that the command writes.
        """
        start = [str(ROOT / self.program)] if self.program.endswith(".py") else ["-m", self.program]
        words = [*start, *self.settings]
        for flag, path in self.inputs:
            words += _assigned(flag, path) if flag.endswith("=") else [flag, str(path)]
        if self.output is not None:
            words += [self.output[0], str(folder / self.output[1])]
        return [*words, "--json", str(result)]

    def key(self) -> str:
        """Return the sha256 of all that decides the result: program, settings and the content of what is read.

        Of a recipe, what a training may change on its way, such as the number of threads, does not count, nor how it
        reports. The folder of the images counts, as given, unless they may move.

        Raises:
            PpresnetError: an input is missing or altered.
        """
        contents = [[flag, self._recipe(path) if flag == "-c" else fingerprint(path)] for flag, path in self.inputs]
        return hashlib.sha256(json.dumps([self.program, self.settings, contents]).encode()).hexdigest()

    def _recipe(self, path: Path) -> dict[str, Any]:
        config = load(path)
        decides = {key: value for key, value in deciding(config).items() if not key.startswith("log.")}
        return decides if self.data_may_move else decides | {"data.root": config.data.root}


def fingerprint(path: Path) -> str:
    """Return the sha256 of a file, or of the manifest of a folder that matches its manifest.

    Raises:
        PpresnetError: it is missing, unreadable or altered.
    """
    if path.is_dir():
        verify_manifest(path)
        path = path / MANIFEST
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PpresnetError(f"{path} cannot be read: {error}") from error


def _assigned(flag: str, path: Path) -> list[str]:
    """Return an override whose value YAML reads as this very string."""
    return [*flag.split()[:-1], f"{flag.split()[-1]}{json.dumps(str(path), ensure_ascii=False)}"]
