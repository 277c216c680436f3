"""The proof: the same network for x86, run by Lite's own kernels, against the golden tensors of the bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from deploy.lite.conversion import Source
from deploy.lite.options import WEIGHT_TYPES, Options
from deploy.lite.process import TIMEOUT, ask
from deploy.lite.program import kernels_in
from deploy.lite.weights import as_on_board, read_weights, write_weights
from ppresnet.errors import RequestError

HOST = Options("x86")
# Measured differences are 1e-6 in fp32, 1e-4 with 16 bits and some percent with 8; a lost addition gives 1 and more.
LIMITS = {"fp32": 1e-4, "int16-weights": 1e-2, "fp16": 5e-2, "int8-weights": 2e-1, "int8": 2e-1}
NOT_EXECUTED = "converted, audited, not executed"


class ProofRow(BaseModel):
    """One comparison with the golden tensors: max|a - b| / max|reference| against its limit, top-1 in percent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runtime: str
    precision: str
    batch: int
    rel_diff: float | None
    top1_agreement: float | None
    limit: float
    status: str


def compare(
    runtime: str, precision: str, batch: int, found: NDArray[np.float32], golden: NDArray[np.float32], limit: float
) -> ProofRow:
    """Return how far an output is from the golden one; what cannot be an answer never passes."""
    status, difference, agreement = "ok", None, None
    if found.shape != golden.shape:
        status = f"expected an output of shape {list(golden.shape)}, found {list(found.shape)}"
    elif not np.isfinite(golden).all() or not golden.any():
        status = "the golden tensors themselves are NaN, infinite or all zero"
    elif not np.isfinite(found).all():
        status = "the output has NaN or infinity"
    elif not found.any():
        status = "the output is all zero"
    else:
        difference = float(np.abs(found.astype(np.float64) - golden).max() / np.abs(golden.astype(np.float64)).max())
        agreement = float(100 * (found.argmax(1) == golden.argmax(1)).mean())
        if not difference <= limit:
            status = f"relative difference {difference:.2g}, at most {limit:g} is allowed"
    return ProofRow(
        runtime=runtime, precision=precision, batch=batch, rel_diff=difference, top1_agreement=agreement, limit=limit,
        status=status,
    )  # fmt: skip


def run_nb(python: Path, nb: Path, images_NCHW: NDArray[np.float32], batch: int, timeout: float = TIMEOUT) -> NDArray:
    """Return the first output of an x86 `.nb` for float32 images [n, channels, size, size], `batch` at a time.

    Raises:
        RequestError: the `.nb` has kernels for another device: Lite would return what the memory held before.
        WorkerError: Lite did not run it.
    """
    devices = {device for _, device, _ in kernels_in(nb.read_bytes())}
    if foreign := sorted(devices - {"host", "x86"}):
        raise RequestError(
            f"{nb} has kernels for {', '.join(foreign)}, which this host does not have, and Lite would return "
            "uninitialised memory; run it on the board, or convert with --target x86"
        )
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "inputs.npy", Path(folder) / "outputs.npy"
        np.save(inputs, np.ascontiguousarray(images_NCHW, np.float32), allow_pickle=False)
        request = {"do": "run", "nb": str(nb.resolve()), "inputs": str(inputs), "outputs": str(outputs), "batch": batch}
        ask(python, request, timeout)
        found: NDArray = np.load(outputs, allow_pickle=False)
    return found


def prove_nb(
    python: Path,
    nb: Path,
    golden: tuple[NDArray[np.float32], NDArray[np.float32]],
    precision: str = "fp32",
    runtime: str = "lite x86",
    timeout: float = TIMEOUT,
) -> list[ProofRow]:
    """Compare an x86 `.nb` with golden inputs and outputs, one image at a time and all at once, in two processes."""
    images, expected = golden
    return [
        compare(runtime, precision, batch, run_nb(python, nb, images, batch, timeout), expected, LIMITS[precision])
        for batch in dict.fromkeys((1, len(images)))
    ]


def prove(
    source: Source,
    options: Options,
    converted: Path,
    golden: tuple[NDArray[np.float32], NDArray[np.float32]],
    work: Path,
) -> list[ProofRow]:
    """Return the rows of a network that was converted.

    Args:
        source: the float program of the bundle.
        options: what it was converted to.
        converted: folder of the protobuf form.
        golden: inputs [n, channels, size, size] and logits [n, classes].
        work: a folder for what is made on the way.
    """
    rows = prove_nb(source.python, source.nb(HOST, work / "host"), golden, timeout=source.timeout)
    if options.precision in (*WEIGHT_TYPES, "fp16"):
        rows += _prove_weights(source, options, converted, golden, work)
    return rows


def _prove_weights(
    source: Source, options: Options, converted: Path, golden: tuple[NDArray, NDArray], work: Path
) -> list[ProofRow]:
    """Run the weights that stand in the `.nb`, as floats, in the x86 network."""
    runtime = f"lite x86, weights of the {options.target} network"
    host = source.protobuf(HOST, work / "host_program")
    rounded = as_on_board(*read_weights(converted), options.precision)
    _, plain = read_weights(host)
    if rounded.keys() != plain.keys() or any(rounded[name].shape != plain[name].shape for name in plain):
        status = f"not comparable: fused differently for x86; {NOT_EXECUTED}"
        return [
            ProofRow(
                runtime=runtime, precision=options.precision, batch=len(golden[0]), rel_diff=None, top1_agreement=None,
                limit=LIMITS[options.precision], status=status,
            )
        ]  # fmt: skip
    write_weights(host / "params", rounded)
    again = Source(source.python, host / "model", host / "params", source.timeout)
    return prove_nb(source.python, again.nb(HOST, work / "host_rounded"), golden, options.precision, runtime)


def failures(rows: Sequence[ProofRow]) -> list[str]:
    """Return a sentence for each comparison that failed; one that could not be made is no failure."""
    return [
        f"parity: {row.runtime} {row.precision}, batch {row.batch}: {row.status}"
        for row in rows
        if row.status != "ok" and not row.status.startswith("not comparable")
    ]
