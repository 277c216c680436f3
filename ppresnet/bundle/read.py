"""Reading a bundle: nothing is used before every byte of it is verified."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ppresnet.bundle.golden import read_golden
from ppresnet.bundle.schema import DEPLOY, GOLDEN, JSON, LABELS, PDMODEL, REQUIRED, Deploy, FileEntry
from ppresnet.errors import BundleError
from ppresnet.files import MANIFEST, manifest_bytes, read_verified
from ppresnet.files.manifest import parse_manifest


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: where it is, what `deploy.json` says, and the label of each class."""

    path: Path
    deploy: Deploy
    labels: tuple[str, ...]

    @property
    def formats(self) -> tuple[str, ...]:
        """The Paddle formats in it, `json` before `pdmodel`."""
        return tuple(name for name, file in (("json", JSON), ("pdmodel", PDMODEL)) if file in self.deploy.files)

    @property
    def precision(self) -> Literal["fp32", "int8"]:
        """What its programs compute in: `int8` where they are quantised, which then must be run as such."""
        return "fp32" if self.deploy.quantisation is None else "int8"

    def file(self, name: str) -> Path:
        """Return the path of one of its files.

        Raises:
            BundleError: the bundle was exported without it.
        """
        if name != DEPLOY and name not in self.deploy.files:
            raise BundleError(
                f"{self.path} has no {name}, only {', '.join(sorted(self.deploy.files))}; export it again"
            )
        return self.path / name

    def golden(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the golden tensors: preprocessed inputs [n, channels, size, size] and logits [n, classes], float32.

        Raises:
            BundleError: they are not as `deploy.json` describes input and output.
        """
        return read_golden(self.path / GOLDEN, self.deploy.inputs[0].shape, self.deploy.outputs[0].shape)


def list_files(directory: Path) -> dict[str, FileEntry]:
    """Return size and sha256 of every file of a bundle but `deploy.json`, which holds this list."""
    contents = {
        path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.name not in (DEPLOY, MANIFEST)
    }
    return _entries(manifest_bytes(contents))


def read_bundle(path: str | Path) -> Bundle:
    """Return a bundle after every byte of it was checked: each file against the manifest, the manifest against itself.

    Raises:
        BundleError: a file is missing, altered or unlisted, or `deploy.json` is not of this schema.
    """
    path = Path(path)
    if not path.is_dir():
        raise BundleError(f"no bundle at {path}: expected a folder that tools/export.py wrote")
    verified = read_verified(path, BundleError, (DEPLOY, LABELS))
    missing = [name for name in REQUIRED if not (path / name).is_file()]
    if missing:
        raise BundleError(f"{path} is not a bundle: {', '.join(missing)} missing; export it again")
    deploy = _parse(verified[DEPLOY], path)
    _check_listing(path, deploy)
    try:
        labels = tuple(verified[LABELS].decode("utf-8").split("\n")[:-1])
    except UnicodeDecodeError as error:
        raise BundleError(f"{path / LABELS}: expected UTF-8, found {error.reason}; export it again") from error
    classes = deploy.outputs[0].shape[-1]
    if len(labels) != classes:
        raise BundleError(
            f"{path / LABELS}: expected {classes} labels, one per class, found {len(labels)}; export it again"
        )
    return Bundle(path, deploy, labels)


def _parse(data: bytes, path: Path) -> Deploy:
    try:
        return Deploy.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        problem = f"{path / DEPLOY}: {where}: {first['msg']}"
        raise BundleError(f"{problem}; export the bundle again with this version") from error


def _check_listing(path: Path, deploy: Deploy) -> None:
    listed = _entries((path / MANIFEST).read_bytes())
    listed.pop(DEPLOY)
    names = listed.keys() | deploy.files.keys()
    if differing := sorted(name for name in names if listed.get(name) != deploy.files.get(name)):
        raise BundleError(f"{path}: {DEPLOY} and {MANIFEST} disagree about {', '.join(differing)}; export it again")


def _entries(manifest: bytes) -> dict[str, FileEntry]:
    return {name: FileEntry.model_validate(entry) for name, entry in (parse_manifest(manifest) or {}).items()}
