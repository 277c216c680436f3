"""The numbers of a run for Prometheus: an HTTP endpoint, and a file for node-exporter."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ppresnet.files import atomic_write
from ppresnet.train.monitors.protocol import Numbers

BY_PART = ("gradient_norm", "sparsity", "dead_relus")  # kinds whose numbers are named for parts of the network
HELP = {
    "ppresnet_run_active": "1 while the run goes on, 0 when it has ended",
    "ppresnet_run_step": "Optimiser steps done",
    "ppresnet_run_steps": "Optimiser steps of the whole run",
    "ppresnet_run_updated_timestamp_seconds": "When the numbers were last written, seconds since 1970",
    "ppresnet_run_bad_steps": "Steps in a row whose loss or gradients were bad",
    "ppresnet_run_rollbacks": "Returns to an earlier checkpoint",
    "ppresnet_run_peak_memory_mb": "Most memory of this process so far, MB",
    "ppresnet_speed_images_per_second": "Training images a second, without evaluation and saving",
    "ppresnet_train_epoch": "Epoch, from 0",
    "ppresnet_train_lr": "Learning rate",
    "ppresnet_train_loss": "Mean training loss since the line before",
    "ppresnet_train_top1": "Training top-1 since the line before, percent",
    "ppresnet_eval_epoch": "Epochs done at the last evaluation",
    "ppresnet_eval_loss": "Mean loss of the last evaluation",
    "ppresnet_eval_top1": "Top-1 of the last evaluation, percent",
    "ppresnet_eval_top5": "Top-5 of the last evaluation, percent",
    "ppresnet_eval_map": "Mean average precision of the last evaluation, where images have several labels, percent",
    "ppresnet_gradient_norm": "L2 norm of the loss's gradient in a part of the network, before clipping",
    "ppresnet_sparsity": "Share of zeros after the ReLUs of a part of the network, 0 to 1",
    "ppresnet_dead_relus": "Share of ReLU channels of a part that never fired over the period, 0 to 1",
}


class Gauges(Collector):
    """The latest value of every number of a run, which other threads may read.

    Numbers become `ppresnet_KIND_NAME`; those of parts become `ppresnet_KIND` with the label `part`.

    Args:
        run: label of every number.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._values: dict[str, dict[str | None, float]] = {}
        self._lock = threading.Lock()
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def write(self, kind: str, step: int, numbers: Numbers) -> None:
        """Take numbers in the place of earlier ones."""
        with self._lock:
            for name, value in numbers.items():
                part = name if kind in BY_PART else None
                family = f"ppresnet_{kind}" if part else f"ppresnet_{kind}_{name}"
                self._values.setdefault(re.sub(r"\W", "_", family), {})[part] = float(value)
            self._stand({"step": step, "active": 1, "updated_timestamp_seconds": time.time()})

    def end(self) -> None:
        """Say that the run has ended."""
        with self._lock:
            self._stand({"active": 0})

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics."""
        with self._lock:
            values = {family: dict(parts) for family, parts in self._values.items()}
        for family, parts in values.items():
            by_part = None not in parts
            labels = ["run", "part"] if by_part else ["run"]
            metric = GaugeMetricFamily(family, HELP.get(family, "A number of the run"), labels=labels)
            for part, value in parts.items():
                metric.add_metric([self._run, part] if part is not None else [self._run], value)
            yield metric

    def _stand(self, numbers: Numbers) -> None:
        for name, value in numbers.items():
            self._values[f"ppresnet_run_{name}"] = {None: float(value)}


class Endpoint:
    """Answers `GET /metrics` with the latest numbers, in a thread that ends with the run.

    Args:
        run: label of every number.
        host: address to listen on.
        port: of the endpoint.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, run: str, host: str, port: int) -> None:
        self._gauges = Gauges(run)
        self._server, self._thread = start_http_server(port, host, self._gauges.registry)

    def write(self, kind: str, step: int, numbers: Numbers) -> None:
        """Take numbers, to be asked for."""
        self._gauges.write(kind, step, numbers)

    def close(self) -> None:
        """Give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Textfile:
    """Keeps a file of the latest numbers for node-exporter's textfile collector, whole at any time.

    Args:
        run: label of every number.
        path: ends in .prom, as the collector wants it.
    """

    def __init__(self, run: str, path: Path) -> None:
        self._gauges, self._path = Gauges(run), path

    def write(self, kind: str, step: int, numbers: Numbers) -> None:
        """Take numbers, and write the file again.

        Raises:
            StorageError: it could not be written; the earlier one stands.
        """
        self._gauges.write(kind, step, numbers)
        self._save()

    def close(self) -> None:
        """Write that the run has ended.

        Raises:
            StorageError: it could not be written; the earlier one stands.
        """
        self._gauges.end()
        self._save()

    def _save(self) -> None:
        atomic_write(self._path, generate_latest(self._gauges.registry))
