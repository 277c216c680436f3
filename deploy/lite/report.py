"""What stands in `lite.json`, the file that describes a folder for a board."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from deploy.lite.audit import Fusion, LiteAudit
from deploy.lite.conversion import version_of
from deploy.lite.options import Options
from deploy.lite.prove import NOT_EXECUTED, ProofRow
from ppresnet import __version__
from ppresnet.bundle import MANIFEST, Activation, Bundle, FileEntry, Shape
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


class LiteReport(_Frozen):
    """The contents of `lite.json`.

    Attributes:
        activation: what makes scores of the logits.
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
    input_shape: Shape
    output_shape: Shape
    activation: Activation = "softmax"
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


def report_of(
    bundle: Bundle, program: Path, options: Options, nb: bytes, audited: LiteAudit, rows: Sequence[ProofRow]
) -> LiteReport:
    """Return the report of a conversion; sizes and files come later."""
    digests = {"manifest_sha256": bundle.path / MANIFEST, "program_sha256": program}
    return LiteReport(
        name=bundle.deploy.name,
        target=options.target,
        precision=options.precision,
        sparse=options.sparse,
        lite_version=version_of(nb),
        executed="run on the converting host with Lite's own kernels" if options.target == "x86" else NOT_EXECUTED,
        preprocess=bundle.deploy.preprocess,
        input_shape=bundle.deploy.inputs[0].shape,
        output_shape=bundle.deploy.outputs[0].shape,
        activation=bundle.deploy.activation,
        size_bytes=len(nb),
        ops=audited.ops,
        fusion=Fusion(**{name: getattr(audited, name) for name in Fusion.model_fields}),
        parity=tuple(rows),
        sizes=(),
        files={},
        producers={**bundle.deploy.producers, "ppresnet": __version__, "paddlelite": version_of(nb)},
        source={
            "name": bundle.deploy.name,
            **{key: hashlib.sha256(path.read_bytes()).hexdigest() for key, path in digests.items()},
        },
    )
