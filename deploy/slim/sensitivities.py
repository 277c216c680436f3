"""What each group costs: the accuracy without a share of its units, one group at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from deploy.slim.groups import ChannelGraph, Group
from deploy.slim.importance import Scores
from deploy.slim.masking import masked
from deploy.slim.subset import Quality, Subset, quality
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import final_weights, model_of, weights_sha
from ppresnet.errors import RequestError
from ppresnet.files import atomic_write

SHARES = (0.125, 0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Sensitivity:
    """Quality of the whole network, and by group and share of it that is masked."""

    settings: Mapping[str, Any]
    whole: Quality
    groups: Mapping[str, Mapping[float, Quality]]

    def curves(self) -> dict[str, list[tuple[float, float]]]:
        """Return by group the share that goes and what it adds to the loss, ascending by share."""
        return {
            name: [(share, found.loss - self.whole.loss) for share, found in sorted(points.items())]
            for name, points in self.groups.items()
        }

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        groups = {
            name: {str(share): asdict(found) for share, found in points.items()} for name, points in self.groups.items()
        }
        return {"settings": dict(self.settings), "whole": asdict(self.whole), "groups": groups}


def measure(
    checkpoint: Checkpoint,
    graph: ChannelGraph,
    scores: Mapping[str, Scores],
    subset: Subset,
    file: Path,
    settings: Mapping[str, Any],
    shares: Sequence[float] = SHARES,
    report: Callable[[str], None] = lambda line: None,
) -> Sensitivity:
    """Return the sensitivity of every group that can be cut, measured in evaluation mode by masking.

    Every measurement is written at once, and what the file holds already is not measured again.

    Args:
        checkpoint: of the network.
        graph: its groups.
        scores: of each unit; the lowest are masked first.
        subset: images to measure on.
        file: JSON, made by the first measurement.
        settings: what the numbers depend on besides the weights, such as the importance and the images.
        shares: of each group that are masked.
        report: is given a line for each group.

    Raises:
        RequestError: the file holds measurements of other weights or settings.
    """
    settings = {"weights": weights_sha(final_weights(checkpoint)), **settings}
    found = read_sensitivity(file) if file.exists() else None
    if found is not None and dict(found.settings) != settings:
        raise RequestError(
            f"{file} holds measurements with other settings; expected {settings}, found {dict(found.settings)}; "
            "choose another --output, or delete it"
        )
    model = model_of(checkpoint)
    found = found or Sensitivity(settings, quality(model, subset), {})
    for group in graph:
        points = dict(found.groups.get(group.name, {}))
        for share in shares:
            if share in points or not 0 < (count := round(share * group.units)) < group.units:
                continue
            gone = np.argsort(scores[group.name], kind="stable")[:count]
            points[share] = _without(model, checkpoint, graph, group, gone, subset)
            found = Sensitivity(settings, found.whole, {**found.groups, group.name: points})
            atomic_write(file, json.dumps(found.as_dict(), indent=1) + "\n")
        report(f"{group.name}: " + ", ".join(f"-{share:.0%} {each.top1:.2f} %" for share, each in points.items()))
    return found


def read_sensitivity(file: Path) -> Sensitivity:
    """Return what `measure` wrote.

    Raises:
        RequestError: there is no such file, or it is another kind of file.
    """
    try:
        plain = json.loads(file.read_bytes())
        groups = {
            name: {float(share): Quality(**found) for share, found in points.items()}
            for name, points in plain["groups"].items()
        }
        return Sensitivity(plain["settings"], Quality(**plain["whole"]), groups)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise RequestError(
            f"{file} holds no sensitivity ({type(error).__name__}: {error}); deploy/slim/sensitivity.py writes it"
        ) from error


def _without(
    model: paddle.nn.Layer,
    checkpoint: Checkpoint,
    graph: ChannelGraph,
    group: Group,
    gone: np.ndarray,
    subset: Subset,
) -> Quality:
    """Mask units in the model, measure it and put its weights back."""
    whole = final_weights(checkpoint)
    weights = masked(whole, graph, {group.name: gone.tolist()})
    state = model.state_dict()
    changed = [name for name in weights if weights[name] is not whole[name]]
    for name in changed:
        state[name].set_value(weights[name])
    found = quality(model, subset)
    for name in changed:
        state[name].set_value(whole[name])
    return found
