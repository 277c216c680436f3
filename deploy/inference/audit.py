"""The fusion audit: what really ran, held against what the blocks promised."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from paddle import inference
from rich.table import Table

from deploy.inference.config import build_config
from deploy.inference.graph import Graph, op_name
from deploy.inference.judge import judge
from deploy.inference.passes import gpu_graph
from deploy.inference.program import read_graph
from deploy.inference.runtime import Runtime, resolve_format
from ppresnet import paddle_api
from ppresnet.bundle import FusionRow, Site
from ppresnet.errors import CheckFailedError

# What a fusion is about; other operators come and go with layouts and shapes.
ACTS = ("relu", "leaky_relu", "silu", "swish", "gelu", "hard_swish")
COLUMNS = (
    "format",
    "backend",
    "basis",
    "fused",
    "conv",
    "int8",
    "+act",
    "+residual",
    "bn",
    "add",
    "act",
    "not fused, and why",
)
COUNTED = ("conv2d", "fused_conv2d", "batch_norm", "add", *ACTS)


@dataclass(frozen=True)
class AuditReport:
    """What each format and backend made of the promised sites, and the graphs it made.

    Attributes:
        sites: what was promised.
        rows: one per format and backend.
        graphs: the program before (key `before`) and after the passes (keys `backend format`).
    """

    sites: tuple[Site, ...]
    rows: tuple[FusionRow, ...]
    graphs: dict[str, Graph]

    def row(self, backend: str, format: str) -> FusionRow:
        """Return the row of a backend and a format."""
        return next(row for row in self.rows if (row.backend, row.format) == (backend, format))

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "sites": [site.model_dump(mode="json") for site in self.sites],
            "rows": [row.model_dump(mode="json") for row in self.rows],
        }

    @property
    def complete(self) -> bool:
        """Whether every site is fused or has a reason that is known."""
        return all(site.explained for row in self.rows for site in row.unfused)

    def table(self) -> Table:
        """Return one line per format and backend, with how many sites each reason holds for."""
        table = Table(*COLUMNS, title="fusion: what really ran")
        for row in self.rows:
            reasons = Counter(site.reason for site in row.unfused).most_common()
            why = "\n".join(f"{count} x {reason}" for reason, count in reasons)
            table.add_row(row.format, row.backend, row.basis, f"{row.fused} of {row.sites}", *_numbers(row), why or "-")
        return table


def audit(directory: str | Path, sites: Sequence[Site], input_shape: Sequence[int]) -> AuditReport:
    """Return what became of every promised site on the CPU, and, predicted, on a GPU.

    Args:
        directory: a bundle, finished or staged.
        sites: what `promised_sites` gave for the network.
        input_shape: [batch, channels, height, width] of the images it is run with.

    Raises:
        CheckFailedError: the operators that ran are not those of the optimised program, so nothing can be said.
    """
    directory = Path(directory)
    rows: list[FusionRow] = []
    graphs: dict[str, Graph] = {}
    for format in ("json", "pdmodel"):
        if not (directory / f"inference.{format}").is_file() or (format == "json" and not paddle_api.has_json()):
            continue
        graphs.setdefault("before", read_graph(directory / f"inference.{format}"))
        for backend in ("native", "onednn"):
            if backend == "onednn" and not paddle_api.has_onednn():
                continue
            graph, ran = observe(directory, Runtime(backend, format=format), input_shape)
            graphs[f"{backend} {format}"] = graph
            rows.append(_row(graph, ran, sites, format, backend, "measured"))
    if (directory / "inference.pdmodel").is_file() and paddle_api.has_onednn():
        with tempfile.TemporaryDirectory() as workspace:
            graph = gpu_graph(directory, Path(workspace))
        graphs["gpu pdmodel"] = graph
        rows.append(_row(graph, graph.counts(), sites, "pdmodel", "gpu", "predicted"))
    return AuditReport(tuple(sites), tuple(rows), graphs)


def audit_int8(directory: str | Path, sites: Sequence[Site], input_shape: Sequence[int]) -> AuditReport:
    """Return what became of the promised sites of a quantised program under oneDNN's int8 kernels.

    Args:
        directory: holds the program, finished or staged.
        sites: what `promised_sites` gave for the network.
        input_shape: [batch, channels, height, width] of the images it is run with.

    Raises:
        CheckFailedError: the operators that ran are not those of the optimised program, or none computes in int8.
    """
    graph, ran = observe(Path(directory), Runtime("onednn", "int8", "pdmodel"), input_shape)
    row = _row(graph, ran, sites, "pdmodel", "onednn", "measured").model_copy(update={"precision": "int8"})
    if not row.int8:
        raise CheckFailedError(f"{directory}: no convolution ran in int8, of {_numbers(row)[0]}; quantise it again")
    return AuditReport(tuple(sites), (row,), {"onednn pdmodel int8": graph})


def observe(directory: Path, runtime: Runtime, input_shape: Sequence[int]) -> tuple[Graph, Counter[str]]:
    """Return the optimised program of a runtime, and how many operators of each type ran on one input.

    Raises:
        CheckFailedError: the two disagree.
    """
    with tempfile.TemporaryDirectory() as workspace:
        config = build_config(directory, runtime, memory_optim=False)
        config.set_optim_cache_dir(workspace)
        config.enable_save_optim_model(True)
        predictor = inference.create_predictor(config)
        graph = read_graph(Path(workspace) / f"_optimized.{resolve_format(directory, runtime)}")
    ran = executed(predictor, graph, np.ones(tuple(input_shape), np.float32))
    found, expected = ({name: counts[name] for name in COUNTED if counts[name]} for counts in (ran, graph.counts()))
    if found != expected:
        raise CheckFailedError(f"{runtime.backend}: the optimised program has {expected}, but {found} ran; report this")
    return graph, ran


def executed(predictor: Any, graph: Graph, images_NCHW: NDArray[np.float32]) -> Counter[str]:
    """Return how many operators of each type a predictor runs on a batch; use the predictor for nothing else after.

    The hook is called once per output. The name of an operator has its number in a `.json`; in a `.pdmodel` the output
    tells operators of one type apart, and `graph` knows whose it is.
    """
    seen: set[tuple[str, str]] = set()

    def record(op: str, output: str, _: Any) -> None:
        known = graph.producer.get(output)
        seen.add((op, "" if ":" in op else known.outputs[0] if known else output))

    predictor.register_output_hook(record)
    predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(images_NCHW)
    predictor.run()
    return Counter(op_name(op) for op, _ in seen)


def _row(graph: Graph, ops: Counter[str], sites: Sequence[Site], format: Any, backend: str, basis: Any) -> FusionRow:
    unfused = tuple(found for site in sites if (found := judge(graph, site, backend)) is not None)
    convs = [op for op in graph.live if op.filter is not None]
    return FusionRow(
        format=format,
        backend=backend,
        basis=basis,
        sites=len(sites),
        fused=len(sites) - len(unfused),
        with_act=sum(op.act is not None and op.residual is None for op in convs),
        with_residual=sum(op.residual is not None for op in convs),
        unfused=unfused,
        ops=dict(sorted(ops.items())),
        int8=sum(op.int8 for op in convs),
    )


def _numbers(row: FusionRow) -> list[str]:
    convs = sum(row.ops.get(name, 0) for name in ("conv2d", "fused_conv2d", "fused_conv2d_add_act"))
    acts = sum(row.ops.get(name, 0) for name in ACTS)
    numbers = (
        convs,
        row.int8,
        row.with_act,
        row.with_residual,
        row.ops.get("batch_norm", 0),
        row.ops.get("add", 0),
        acts,
    )
    return [str(number) for number in numbers]
