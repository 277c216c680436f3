"""Asking PaddleSlim: a fresh process for each question, and an answer or an error however it ends."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from ppresnet.errors import PpresnetError, RequestError
from ppresnet.processes import exit_name, indented, run_to_end

ROOT = Path(__file__).resolve().parents[3]
MODULE = "deploy.slim.filter_pruners.worker"
TIMEOUT = 1800.0


@dataclass(frozen=True)
class Collection:
    """What PaddleSlim cuts together: the axes of tensors, of which the master's kernels alone decide."""

    master: str
    members: frozenset[tuple[str, int]]


@dataclass(frozen=True)
class Answer:
    """What PaddleSlim did.

    Attributes:
        failed: what went wrong, empty where nothing did; what came before it is still told.
        remarks: on what it could not group.
        collections: all it found.
        kept: positions that stay, by tensor and axis.
        shapes: of the pruned network's tensors.
        logits: float64 [batch, classes] of the pruned network, empty where it does not run.
    """

    failed: str
    remarks: tuple[str, ...]
    collections: tuple[Collection, ...]
    kept: Mapping[tuple[str, int], tuple[int, ...]]
    shapes: Mapping[str, tuple[int, ...]]
    logits: np.ndarray


def ask(
    request: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    images_NCHW: np.ndarray,
    timeout: float = TIMEOUT,
) -> Answer:
    """Return what PaddleSlim does with a network, see `worker.prune`.

    Args:
        request: JSON data.
        weights: of the network, by structured name.
        images_NCHW: what the pruned network is run on, float32.
        timeout: seconds after which the process is killed.

    Raises:
        RequestError: PaddleSlim is not installed.
        PpresnetError: the process crashed or took too long.
    """
    with tempfile.TemporaryDirectory(prefix="ppresnet-") as name:
        folder = Path(name)
        put(folder, request, weights, images_NCHW)
        _run(folder, timeout)
        return answer_of(json.loads((folder / "answer.json").read_text()))


def put(folder: Path, request: Mapping[str, Any], weights: Mapping[str, np.ndarray], images_NCHW: np.ndarray) -> None:
    """Write a question as `worker.answer` reads it."""
    (folder / "request.json").write_text(json.dumps(request))
    tensors = {**weights, "images": images_NCHW}
    save_file({key: np.ascontiguousarray(array) for key, array in tensors.items()}, folder / "tensors.safetensors")


def _run(folder: Path, timeout: float) -> None:
    # PaddleSlim's own switches for operators would change what it groups.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPS_UN")}
    command = [sys.executable, "-m", MODULE, str(folder)]
    ended = run_to_end(command, ROOT, environment | {"FLAGS_enable_pir_api": "0"}, timeout)
    said = indented(line[:500] for line in ended.lines)
    if ended.code is None:
        raise PpresnetError(f"PaddleSlim took longer than {timeout:g} s and was ended; its last output:\n{said}")
    if ended.code:
        raise PpresnetError(f"the process of PaddleSlim ended with {exit_name(ended.code)}; its last output:\n{said}")


def answer_of(answer: Mapping[str, Any]) -> Answer:
    """Return what `worker.answer` gives, typed.

    Raises:
        RequestError: PaddleSlim is not installed.
    """
    failed = str(answer["failed"])
    if ": ModuleNotFoundError:" in failed or ": ImportError:" in failed:
        raise RequestError(
            f"PaddleSlim cannot be imported ({failed}); pip install 'ppresnet[slim]', or use our own engine"
        )
    return Answer(
        failed=failed,
        remarks=tuple(answer["remarks"]),
        collections=tuple(
            Collection(each["master"], frozenset((name, axis) for name, axis in each["members"]))
            for each in answer.get("collections", ())
        ),
        kept={
            (name, int(axis)): tuple(positions)
            for name, axes in answer.get("kept", {}).items()
            for axis, positions in axes.items()
        },
        shapes={name: tuple(shape) for name, shape in answer.get("shapes", {}).items()},
        logits=np.array(answer.get("logits", [])),
    )
