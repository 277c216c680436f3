"""What stands in `deploy.json`, and how the files of a bundle are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ppresnet.bundle.quantisation import Quantisation
from ppresnet.pixels import Preprocess

DEPLOY = "deploy.json"
JSON, PDMODEL, PARAMS = "inference.json", "inference.pdmodel", "inference.pdiparams"
ONNX, LABELS, GOLDEN = "model.onnx", "labels.txt", "golden.npz"
REQUIRED = (PDMODEL, PARAMS, LABELS, GOLDEN, DEPLOY)
OPTIONAL = (JSON, ONNX)

Activation = Literal["softmax", "sigmoid"]
Pattern = Literal["conv+bn", "conv+bn+act", "conv+bn+residual+act"]
Shape = Annotated[tuple[int, ...], Field(min_length=1)]
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

    shape: Shape
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
        precision: what was asked for.
        int8: convolutions whose kernels compute in int8.
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
    precision: Literal["fp32", "int8"] = "fp32"
    int8: int = 0


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
    """The contents of `deploy.json`.

    `activation` makes scores of the logits that the programs give: `softmax` where one class is right, `sigmoid` where
    each is a yes or no of its own. What has no such key is softmax.
    """

    schema_version: Literal[1] = 1
    name: str
    spec: Mapping[str, Any]
    config: Mapping[str, Any] | None = None
    preprocess: Preprocess
    inputs: tuple[Port, ...] = Field(min_length=1)
    outputs: tuple[Port, ...] = Field(min_length=1)
    activation: Activation = "softmax"
    files: Mapping[str, FileEntry]
    producers: Mapping[str, str]
    source: Source
    sites: tuple[Site, ...]
    parity: tuple[ParityRow, ...] = ()
    fusion: tuple[FusionRow, ...] = ()
    latency: tuple[LatencyRow, ...] = ()
    quantisation: Quantisation | None = None

    def dump(self) -> str:
        """Return the text of `deploy.json`."""
        return self.model_dump_json(indent=1) + "\n"
