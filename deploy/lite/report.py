"""What stands in `lite.json`, the file that describes a folder for a board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from deploy.lite.prove import ProofRow
from ppresnet.bundle import FileEntry, UnfusedSite
from ppresnet.pixels import Preprocess

LITE_JSON, MODEL, README = "lite.json", "model.nb", "README.md"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SizeRow(_Frozen):
    """The `.nb` of one option in bytes, and as a share of the first; None and the reason where there is none."""

    option: str
    size_bytes: int | None
    share: float | None
    status: str


class Fusion(_Frozen):
    """The audit; see `deploy.lite.audit.LiteAudit`."""

    sites: int
    fused: int
    convs: int
    with_act: int
    with_residual: int
    added: int
    batch_norms: int
    lone_adds: int
    lone_acts: Mapping[str, int]
    int8_convs: int
    kernels: Mapping[str, int]
    unfused: tuple[UnfusedSite, ...]


class LiteReport(_Frozen):
    """The contents of `lite.json`.

    Attributes:
        executed: `on this host with Lite's own kernels`, or that the `.nb` was converted and audited only.
        ops: operators by type.
        source: name of the bundle's recipe and sha256 of its manifest and of the program that was converted.
    """

    schema_version: Literal[1] = 1
    name: str
    target: str
    precision: str
    sparse: float | None
    lite_version: str
    executed: str
    preprocess: Preprocess
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    size_bytes: int
    ops: Mapping[str, int]
    fusion: Fusion
    parity: tuple[ProofRow, ...]
    sizes: tuple[SizeRow, ...]
    files: Mapping[str, FileEntry]
    producers: Mapping[str, str]
    source: Mapping[str, Any]

    def dump(self) -> str:
        """Return the text of `lite.json`."""
        return self.model_dump_json(indent=1) + "\n"
