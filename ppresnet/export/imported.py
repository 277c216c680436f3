"""Whether a checkpoint that was made of foreign weights answers as the network that they were imported into."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from ppresnet.bundle import ParityRow
from ppresnet.checkpoint import read
from ppresnet.checkpoint.state import model_of, weights_of
from ppresnet.errors import CheckFailedError
from ppresnet.export.parity import Candidate, Kind, Runner, check_parity
from ppresnet.models import ImportReport
from ppresnet.models.source_networks import source_network

SAME = 1e-6  # largest relative difference of the same weights in the same network
SAME_NETWORK = 1e-4  # and of the same weights in the source's own network


def import_parity(
    directory: Path,
    model: nn.Layer,
    state: Mapping[str, np.ndarray],
    source: str,
    inputs: Mapping[Kind, NDArray[np.float32]],
    report: ImportReport,
) -> tuple[list[ParityRow], list[str]]:
    """Compare a written checkpoint, and the source's own network where it is at hand, with the network imported into.

    Args:
        directory: the checkpoint, which is read again.
        model: the network, in evaluation mode.
        state: the foreign names and arrays.
        source: whose names they are.
        inputs: as `check_parity`.
        report: of the import.

    Returns:
        The comparisons, and sentences about those that could not be made.

    Raises:
        CheckFailedError: a tensor in the checkpoint is not bit for bit the network's.
    """
    written, ours = read(directory), weights_of(model)
    if different := [name for name in ours if written.weights[name].tobytes() != ours[name].tobytes()]:
        raise CheckFailedError(f"'{different[0]}' was not written as it was imported; convert again")
    rows = check_parity(_runner(model), [_candidate("checkpoint", model_of(written))], inputs, SAME)
    if report.reinitialised or report.adapted:
        return [*rows], ["the network is not the source's own, so its outputs were not compared with that"]
    original = source_network(model.spec, {name: state[name] for name, _ in report.mapped}, source)
    if original is None:
        return [*rows], [f"the network of '{source}' is not at hand, so its own outputs were not compared"]
    return [*rows, *check_parity(_runner(model), [_candidate(source, original)], inputs, SAME_NETWORK)], []


def _candidate(format: str, network: nn.Layer) -> Candidate:
    return Candidate(format, "paddle dygraph", lambda: _runner(network))


def _runner(network: nn.Layer) -> Runner:
    def run(images_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        with paddle.no_grad():
            return np.asarray(network(paddle.to_tensor(images_NCHW)))

    return run
