"""What a bundle is: the schema of `deploy.json`, and reading a bundle with every byte verified.

A bundle is a directory: the network in up to three formats, its labels, golden tensors and `deploy.json`. It carries the
results of its own checks, so that each runtime can be held to them. Nothing here imports Paddle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ppresnet.errors import BundleError
from ppresnet.files import MANIFEST, manifest_bytes, read_verified
from ppresnet.files.manifest import parse_manifest
from ppresnet.pixels import Preprocess

SCHEMA_VERSION = 1
DEPLOY = "deploy.json"
JSON, PDMODEL, PARAMS = "inference.json", "inference.pdmodel", "inference.pdiparams"
ONNX, LABELS, GOLDEN = "model.onnx", "labels.txt", "golden.npz"
REQUIRED = (PDMODEL, PARAMS, LABELS, GOLDEN, DEPLOY)
OPTIONAL = (JSON, ONNX)

Pattern = Literal["conv+bn", "conv+bn+act", "conv+bn+residual+act"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Site(_Frozen):
    """A place where a block promises that a convolution and what follows it run as one operator.

    Attributes:
        name: structured name of the convolution layer, such as `stages.0.1.branch.2.conv`.
        pattern: what is promised to run together.
        act: name of the activation in the pattern; None where it has none.
        parameter: name of the convolution's filter in the exported programs.
    """

    name: str
    pattern: Pattern
    act: str | None
    parameter: str


class Port(_Frozen):
    """One input or output, known by its index: names differ between formats. A dimension of -1 is free."""

    shape: tuple[int, ...]
    dtype: str


class FileEntry(_Frozen):
    """Size in bytes and sha256 of one file."""

    size: int = Field(ge=0)
    sha256: Sha256


class Source(_Frozen):
    """The checkpoint a bundle was made of, and its accuracy in percent where it is known."""

    checkpoint: str
    sha256: Sha256
    step: int | None = None
    top1: float | None = None


class ParityRow(_Frozen):
    """One comparison with the dygraph network: max|a - b| / max|reference| against its limit."""

    format: str
    runtime: str
    batch: int
    data: Literal["random", "real"]
    rel_diff: float | None
    limit: float
    status: str


class UnfusedSite(_Frozen):
    """A promised site that did not fuse, and why; `explained` unless the audit does not know."""

    site: str
    reason: str
    explained: bool = True


class FusionRow(_Frozen):
    """What the audit of one format and backend found.

    Attributes:
        format: of the program.
        backend: `native`, `onednn` or `gpu`.
        basis: `measured`: the operators that ran were counted; `predicted`: the passes were run, the program was not.
        sites: how many sites were promised.
        fused: how many became one operator.
        with_act: convolutions that apply an activation and add no residual.
        with_residual: convolutions that add a residual.
        unfused: the other sites, each with its reason.
        ops: how many operators of each type ran, or would run.
    """

    format: Literal["json", "pdmodel"]
    backend: str
    basis: Literal["measured", "predicted"]
    sites: int
    fused: int
    with_act: int
    with_residual: int
    unfused: tuple[UnfusedSite, ...]
    ops: Mapping[str, int]


class LatencyRow(_Frozen):
    """One row of `tools/benchmark.py`; times in milliseconds."""

    backend: str
    precision: str
    batch: int
    threads: int
    status: str
    size_mb: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    images_per_second: float | None = None
    rel_diff: float | None = None
    top1_agreement: float | None = None
    top1: float | None = None


class Deploy(_Frozen):
    """The contents of `deploy.json`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str
    spec: Mapping[str, Any]
    config: Mapping[str, Any] | None = None
    preprocess: Preprocess
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    files: Mapping[str, FileEntry]
    producers: Mapping[str, str]
    source: Source
    sites: tuple[Site, ...]
    parity: tuple[ParityRow, ...] = ()
    fusion: tuple[FusionRow, ...] = ()
    latency: tuple[LatencyRow, ...] = ()

    def dump(self) -> str:
        """Return the text of `deploy.json`."""
        return self.model_dump_json(indent=1) + "\n"


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

    def file(self, name: str) -> Path:
        """Return the path of one of its files.

        Raises:
            BundleError: the bundle was exported without it.
        """
        if name != DEPLOY and name not in self.deploy.files:
            raise BundleError(f"{self.path} has no {name}, only {', '.join(sorted(self.deploy.files))}; export it again")
        return self.path / name

    def golden(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the golden tensors: preprocessed inputs [n, channels, size, size] and logits [n, classes], float32."""
        with np.load(self.path / GOLDEN, allow_pickle=False) as arrays:
            return arrays["inputs"], arrays["outputs"]


def list_files(directory: Path) -> dict[str, FileEntry]:
    """Return size and sha256 of every file of a bundle but `deploy.json`, which holds this list."""
    contents = {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.name not in (DEPLOY, MANIFEST)}
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
    labels = tuple(verified[LABELS].decode("utf-8").split("\n")[:-1])
    classes = deploy.outputs[0].shape[-1]
    if len(labels) != classes:
        raise BundleError(f"{path / LABELS}: expected {classes} labels, one per class, found {len(labels)}; export it again")
    return Bundle(path, deploy, labels)


def _parse(data: bytes, path: Path) -> Deploy:
    try:
        return Deploy.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleError(f"{path / DEPLOY}: {where}: {first['msg']}; export the bundle again with this version") from error


def _check_listing(path: Path, deploy: Deploy) -> None:
    listed = _entries((path / MANIFEST).read_bytes())
    listed.pop(DEPLOY)
    if differing := sorted(name for name in listed.keys() | deploy.files.keys() if listed.get(name) != deploy.files.get(name)):
        raise BundleError(f"{path}: {DEPLOY} and {MANIFEST} disagree about {', '.join(differing)}; export it again")


def _entries(manifest: bytes) -> dict[str, FileEntry]:
    return {name: FileEntry.model_validate(entry) for name, entry in (parse_manifest(manifest) or {}).items()}
