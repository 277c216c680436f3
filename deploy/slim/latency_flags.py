"""The flags that say how networks are timed, and the stopwatch they ask for. Nothing here imports Paddle."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from deploy.slim.command import Opened

if TYPE_CHECKING:
    from deploy.slim.latency import Stopwatch


def add_timing(made: argparse.ArgumentParser, heading: str) -> None:
    """Add the flags, below a heading in the help."""
    flags = made.add_argument_group(heading)
    flags.add_argument("--backend", default="onednn", choices=("native", "onednn", "openvino"), help="(onednn)")
    flags.add_argument("--precision", default="fp32", choices=("fp32", "bf16"), help="(fp32)")
    flags.add_argument("--threads", type=int, metavar="N", help="(default: what suits this machine)")
    flags.add_argument("--batch", type=int, default=1, metavar="N", help="images of a pass (1)")
    flags.add_argument("--rounds", type=int, default=30, metavar="N", help="timed rounds (30)")


def stopwatch_of(arguments: argparse.Namespace, found: Opened) -> Stopwatch:
    """Return what times networks as the flags say.

    Raises:
        RequestError: there is no thread, no batch or no round.
    """
    from deploy.inference.runtime import Runtime
    from deploy.slim.latency import Stopwatch

    threads = found.machine.threads if arguments.threads is None else arguments.threads
    runtime = Runtime(arguments.backend, arguments.precision, format="pdmodel", threads=threads)
    return Stopwatch(runtime, arguments.batch, arguments.rounds)
