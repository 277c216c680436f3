"""The numbers of a run for Weights & Biases, a service; nothing is sent unless the recipe names a project."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ppresnet.train.monitors.protocol import Numbers


class WeightsAndBiases:
    """Sends numbers as `kind/name`, over the optimiser step.

    Args:
        project: of the service.
        run: name of the run.
        folder: in which the client keeps its files.
        config: the recipe, shown beside the numbers.
    """

    def __init__(self, project: str, run: str, folder: Path, config: Mapping[str, Any]) -> None:
        client = import_module("wandb")
        # `auto` goes on with a run that was cut off in the same folder.
        self._run = client.init(project=project, name=run, dir=str(folder), config=dict(config), resume="auto")
        # Steps go back when a run is resumed or undone, which the client's own counter does not take.
        self._run.define_metric("*", step_metric="step")

    def write(self, kind: str, step: int, numbers: Numbers) -> None:
        """Send numbers."""
        self._run.log({"step": step} | {f"{kind}/{name}": value for name, value in numbers.items()})

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()
