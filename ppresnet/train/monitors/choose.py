"""From the `log` section of a recipe to what watches the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from paddle import nn

from ppresnet.config import LogConfig, RunConfig, to_dict
from ppresnet.data import Samples
from ppresnet.errors import RequestError
from ppresnet.train.monitors.gradient_norms import GradientNorms
from ppresnet.train.monitors.histograms import Histograms
from ppresnet.train.monitors.isolation import Isolation, Monitors, Sinks
from ppresnet.train.monitors.predictions import Predictions
from ppresnet.train.monitors.protocol import Monitor, Sink
from ppresnet.train.monitors.relus import Relus, relus_of

if TYPE_CHECKING:
    from ppresnet.train.monitors.visualdl import VisualDl

PACKAGES = {  # key: module, what pip calls it
    "prometheus_port": ("prometheus_client", "prometheus-client"),
    "textfile": ("prometheus_client", "prometheus-client"),
    "wandb": ("wandb", "wandb"),
}


def expect_packages(log: LogConfig) -> None:
    """Check that the packages a recipe asks for are installed.

    Raises:
        RequestError: one is not; the message says how to install it.
    """
    for key, (module, package) in PACKAGES.items():
        if getattr(log, key) is not None and find_spec(module) is None:
            raise RequestError(
                f"log.{key}: the package {package} is not installed; pip install {package}, or set the key to null"
            )


def open_sinks(config: RunConfig, output: Path, isolation: Isolation) -> Sinks:
    """Return where the numbers of a run go; what cannot be opened is told and left out.

    Args:
        config: the recipe.
        output: the run's folder.
        isolation: takes the errors.
    """
    found: dict[str, Sink] = {}
    for key, opened in SINKS.items():
        if getattr(config.log, key) not in (None, False):
            with isolation.of(f"log.{key}"):
                found[f"log.{key}"] = opened(config, output)
    return Sinks(found, isolation)


def open_monitors(config: RunConfig, model: nn.Layer, samples: Samples, sinks: Sinks, isolation: Isolation) -> Monitors:
    """Return what looks at the network of a run.

    Args:
        config: the recipe.
        model: the network that is trained.
        samples: of the evaluation split.
        sinks: from `open_sinks`.
        isolation: takes the errors.
    """
    log, found = config.log, dict[str, Monitor]()
    visualdl: VisualDl | None = sinks.find("log.visualdl")
    if log.gradients_every:
        found["log.gradients_every"] = GradientNorms(model, log.gradients_every, sinks.write)
    if log.activations_every:
        with isolation.of("log.activations_every"):
            if not relus_of(model):
                raise RequestError("the network has no ReLU, so that there is nothing to count")
            found["log.activations_every"] = Relus(model, log.activations_every, sinks.write)
    if visualdl is not None:
        if log.histograms_every:
            found["log.histograms_every"] = Histograms(model, log.histograms_every, visualdl)
        if log.images:
            found["log.images"] = Predictions(model, samples, log.images, visualdl, binary=config.train.loss == "bce")
        if log.graph:
            with isolation.of("log.graph"):
                visualdl.graph(model.spec, config.data.input_size)
    return Monitors(found, isolation)


def _visualdl(_: RunConfig, output: Path) -> Sink:
    from ppresnet.train.monitors.visualdl import VisualDl

    return VisualDl(output / "visualdl")


def _endpoint(config: RunConfig, _: Path) -> Sink:
    from ppresnet.train.monitors.prometheus import Endpoint

    return Endpoint(config.name, config.log.prometheus_host, config.log.prometheus_port or 0)


def _textfile(config: RunConfig, _: Path) -> Sink:
    from ppresnet.train.monitors.prometheus import Textfile

    return Textfile(config.name, Path(config.log.textfile or ""))


def _weights_and_biases(config: RunConfig, output: Path) -> Sink:
    from ppresnet.train.monitors.weights_and_biases import WeightsAndBiases

    return WeightsAndBiases(config.log.wandb or "", config.name, output, to_dict(config))


SINKS: Mapping[str, Callable[[RunConfig, Path], Sink]] = {
    "visualdl": _visualdl,
    "prometheus_port": _endpoint,
    "textfile": _textfile,
    "wandb": _weights_and_biases,
}
