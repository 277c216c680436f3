"""What changed between two bundles: spec, weights, accuracy, latency, files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppresnet.bundle import PARAMS, Bundle
from ppresnet.export.params import named_params

Change = dict[str, Any]


def difference(one: Bundle, other: Bundle) -> dict[str, Any]:
    """Return the changes from one bundle to another; each list is empty where nothing changed.

    The keys are `spec`, `preprocess`, `config`, `producers`, `activation`, `labels`, `accuracy`, `latency` and `files`
    (each change a path, before and after) and `weights` (each a tensor, rel_diff, and the shapes before and after).
    """
    a, b = one.deploy, other.deploy
    plain_a, plain_b = a.model_dump(mode="json"), b.model_dump(mode="json")
    found: dict[str, Any] = {
        key: changed(plain_a[key] or {}, plain_b[key] or {}) for key in ("spec", "preprocess", "config", "producers")
    }
    found["activation"] = changed({"activation": a.activation}, {"activation": b.activation})
    found["labels"] = changed(list(one.labels), list(other.labels))
    found["weights"] = changed_weights(one, other)
    found["accuracy"] = changed({"top1": a.source.top1}, {"top1": b.source.top1})
    found["latency"] = changed(_latencies(one), _latencies(other))
    found["files"] = changed(plain_a["files"], plain_b["files"])
    found["same"] = not any(found.values())
    return found


def changed(before: Any, after: Any, path: str = "") -> list[Change]:
    """Return every leaf that differs between two values of JSON, with its dotted path; None stands for absent."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = sorted(before.keys() | after.keys(), key=str)
        return [one for key in keys for one in changed(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))]
    if isinstance(before, list) and isinstance(after, list):
        longer = range(max(len(before), len(after)))
        padded = [items + [None] * (len(longer) - len(items)) for items in (before, after)]
        return [one for index in longer for one in changed(padded[0][index], padded[1][index], f"{path}[{index}]")]
    return [] if before == after else [{"path": path, "before": before, "after": after}]


def changed_weights(one: Bundle, other: Bundle) -> list[Change]:
    """Return every tensor that differs, the most changed first, with max|a - b| / max|a|.

    Tensors are named by the promised site of a filter, else by the parameter; those of another shape have no rel_diff.
    """
    if one.deploy.files[PARAMS] == other.deploy.files[PARAMS]:
        return []
    a, b = _tensors(one), _tensors(other)
    if "json" not in one.formats and len(a) == len(b):  # only the .json has names; the order is the same in all formats
        a = dict(zip(b, a.values(), strict=True))
    elif "json" not in other.formats and len(a) == len(b):
        b = dict(zip(a, b.values(), strict=True))
    found: list[Change] = []
    for name in a.keys() | b.keys():
        before, after = a.get(name), b.get(name)
        if before is None or after is None or before.shape != after.shape:
            found.append({"tensor": name, "rel_diff": None, "before": _shape(before), "after": _shape(after)})
        elif before.tobytes() != after.tobytes():
            found.append(
                {"tensor": name, "rel_diff": _relative(before, after), "before": _shape(before), "after": _shape(after)}
            )
    return sorted(found, key=lambda row: (-(row["rel_diff"] if row["rel_diff"] is not None else np.inf), row["tensor"]))


def _latencies(bundle: Bundle) -> dict[str, float | None]:
    rows = bundle.deploy.latency
    return {f"{row.backend} {row.precision} batch {row.batch} threads {row.threads}": row.p50_ms for row in rows}


def _tensors(bundle: Bundle) -> dict[str, NDArray[np.generic]]:
    sites = {site.parameter: site.name for site in bundle.deploy.sites}
    return {sites.get(name, name): tensor for name, tensor in named_params(bundle.path).items()}


def _shape(tensor: NDArray[np.generic] | None) -> list[int] | None:
    return None if tensor is None else list(tensor.shape)


def _relative(before: NDArray[np.generic], after: NDArray[np.generic]) -> float | None:
    a, b = before.astype(np.float64), after.astype(np.float64)
    scale = np.abs(a).max()
    return float(np.abs(a - b).max() / scale) if scale else None
