"""The checkpoint that a command line names, with its recipe. Nothing here imports Paddle."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from ppresnet.checkpoint.store import Checkpoint, read, resolve
from ppresnet.config import RunConfig, from_dict, load


@dataclass(frozen=True)
class Opened:
    """A verified checkpoint, where it stands, and the recipe that says which images it is for."""

    path: Path
    checkpoint: Checkpoint
    config: RunConfig


def opened(arguments: argparse.Namespace) -> Opened:
    """Return what `--checkpoint`, `-c` and `-o` name; without `-c` the recipe is the one the checkpoint was trained by.

    Raises:
        PpresnetError: the checkpoint or the recipe cannot be read.
    """
    path = resolve(arguments.checkpoint)
    checkpoint = read(path)
    if arguments.config is not None:
        config = load(arguments.config, arguments.overrides)
    else:
        config = from_dict(checkpoint.config, str(path), arguments.overrides)
    return Opened(path, checkpoint, config)
