"""The process in which PaddleSlim prunes: `python -m deploy.slim.filter_pruners.worker FOLDER`; see `process.py`.

PaddleSlim 2.6.0 is written for Paddle 2.6. On 3.3.1 it needs the old program form, which `FLAGS_enable_pir_api=0` in
the environment gives, and a context manager under the name it had. A trace that fails leaves static mode on.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.base.dygraph import base
from safetensors.numpy import load_file

from ppresnet.checkpoint.state import restore_weights
from ppresnet.models import build
from ppresnet.spec import spec_from_dict

PRUNERS = {"l1": "L1NormFilterPruner", "l2": "L2NormFilterPruner", "fpgm": "FPGMFilterPruner"}


def answer(folder: Path) -> dict[str, Any]:
    """Return the answer to the question in a folder."""
    tensors = load_file(folder / "tensors.safetensors")
    images_NCHW = tensors.pop("images")
    return prune(json.loads((folder / "request.json").read_text()), tensors, images_NCHW)


def prune(request: Mapping[str, Any], weights: dict[str, np.ndarray], images_NCHW: np.ndarray) -> dict[str, Any]:
    """Return what PaddleSlim groups, which positions it keeps, and what its pruned network answers.

    Args:
        request: `spec`, `rule` (one of `PRUNERS`), and `groups`: by name the `kernels` of which one may be the master,
            and the `share` that goes.
        weights: of the network, by structured name.
        images_NCHW: what the pruned network is run on.
    """
    spec = spec_from_dict(request["spec"])
    model = build(spec)
    restore_weights(model, weights)
    model.eval()
    done: dict[str, Any] = {"remarks": [], "failed": ""}
    doing = "tracing the network"
    try:
        with _Remarks(done["remarks"]):
            pruner = opened(model, request["rule"], [1, spec.in_channels, spec.input_size, spec.input_size])
        done["collections"] = collections_of(pruner, model)
        doing = "pruning"
        plan = pruner.prune_vars(ratios(request["groups"], done["collections"], model), 0)
        done["kept"] = kept(plan, model)
        # The state now has everything twice: PaddleSlim leaves the uncut tensors there as `..._backup`.
        done["shapes"] = {name: list(model.state_dict()[name].shape) for name in weights}
        doing = "running what it pruned"
        done["logits"] = model(paddle.to_tensor(images_NCHW)).numpy().tolist()
    except Exception as error:  # PaddleSlim and Paddle raise whatever they like
        done["failed"] = f"{doing}: {type(error).__name__}: {error}"
    return done


def opened(model: nn.Layer, rule: str, shape: list[int]) -> Any:
    """Return a pruner of a network; it copies the weights now, and scores those ever after."""
    if not hasattr(base, "_to_static_mode_guard_"):  # its name up to Paddle 2.6
        base._to_static_mode_guard_ = base.to_static_mode_guard
    import paddleslim.dygraph

    try:
        return getattr(paddleslim.dygraph, PRUNERS[rule])(model, shape)
    finally:
        paddle.disable_static()


def names_of(model: nn.Layer) -> dict[str, str]:
    """Return structured names by the names that Paddle gives; BatchNorm's statistics are parameters there."""
    return {tensor.name: name for name, tensor in (*model.named_parameters(), *model.named_buffers())}


def collections_of(pruner: Any, model: nn.Layer) -> list[dict[str, Any]]:
    """Return master and members (structured name and axis) of each collection; computed values are left out."""
    names = names_of(model)
    return [
        {
            "master": names[each.master_name],
            "members": [[names[d.name], d.axis] for d in each.all_pruning_details() if d.name in names],
        }
        for each in pruner.collections
    ]


def ratios(groups: Mapping[str, Any], collections: list[dict[str, Any]], model: nn.Layer) -> dict[str, float]:
    """Return the share that goes by Paddle's name of the master, the only name that does anything."""
    parameters = dict(model.named_parameters())
    found = {}
    for group in groups.values():
        masters = (each["master"] for each in collections if each["master"] in group["kernels"])
        found.update({parameters[master].name: group["share"] for master in masters})
    return found


def kept(plan: Any, model: nn.Layer) -> dict[str, dict[int, list[int]]]:
    """Return the positions that stay, by structured name and axis."""
    names = names_of(model)
    return {
        names[name]: {mask.dims: np.flatnonzero(mask.mask).tolist() for mask in masks}
        for name, masks in plan.masks.items()
        if name in names
    }


class _Remarks(logging.Handler):
    """Gathers what PaddleSlim says of operators it does not take."""

    def __init__(self, seen: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.seen, self.logger = seen, logging.getLogger("paddleslim.prune.collections")

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.msg, tuple):
            self.seen.extend(map(str, record.msg))

    def __enter__(self) -> None:
        self.logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self.logger.removeHandler(self)


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    (directory / "answer.json").write_text(json.dumps(answer(directory)))
