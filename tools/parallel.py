"""Training in several processes on the CPU of this machine: how many, and their start."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parallel_choice import ON_CPU, chosen_count

from ppresnet import cli, hardware
from ppresnet.config import RunConfig
from ppresnet.errors import RequestError
from ppresnet.hardware import THREADS_VARIABLE
from ppresnet.train.launch import launch


def count_of(asked: str | None, config: RunConfig, before: Mapping[str, Any] | None = None) -> int:
    """Return the processes to train in.

    Args:
        asked: on the command line, a number or `auto`; None takes that of the recipe.
        config: the recipe.
        before: hardware.json of the run that is resumed; `auto` takes its number again, since batches and masks are
            shared out by it.

    Raises:
        RequestError: it is neither, or there is a GPU to train on.
    """
    wanted = config.hardware.processes if asked is None else asked
    if wanted != "auto" and not (str(wanted).isdecimal() and int(wanted) >= 1):
        raise RequestError(f"--cpu-processes: expected auto or a number from 1 on, found '{wanted}'")
    if wanted in (1, "1"):
        return 1
    used = (before or {}).get("processes")
    if wanted == "auto" and isinstance(used, int) and used >= 1:
        return used
    if hardware.choose_device(config.hardware.device) == "cpu":
        return chosen_count(config, cli.say) if wanted == "auto" else int(wanted)
    if wanted == "auto":
        return 1
    raise RequestError(
        f"--cpu-processes: {wanted} processes are for training on the CPU, and hardware.device is a GPU; set it to "
        "cpu, or start a process for each GPU with python -m paddle.distributed.launch tools/train.py ..."
    )


def several(program: Path, count: int, config: RunConfig, before: Mapping[str, Any] | None) -> None:
    """Train in several processes, with the command line of this one.

    Args:
        program: `tools/train.py`.
        count: processes.
        config: the recipe.
        before: hardware.json of the run that is resumed.

    Raises:
        ProcessError: with message and exit code of the process that failed.
    """
    hardware.as_before(before, count)
    share_cores(count, config)
    threads = os.environ[THREADS_VARIABLE]
    cli.say(f"{count} processes of {threads} thread{'' if threads == '1' else 's'} each")
    launch(program, [*sys.argv[1:], *ON_CPU], count)


def share_cores(count: int, config: RunConfig) -> None:
    """Put kernels and threads of each of `count` processes into the environment: its share of the cores, unless set."""
    threads: int | str = config.hardware.threads
    if threads == "auto" and THREADS_VARIABLE not in os.environ:
        threads = max(1, hardware.usable_cores() // count)
    hardware.prepare("cpu", threads)
