"""What the commands of this folder share: a checkpoint, its recipe, and flags. Nothing here imports Paddle."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppresnet import cli, hardware
from ppresnet.checkpoint import Checkpoint, read, resolve
from ppresnet.config import RunConfig, from_dict, load

METHODS = ("l1", "l2", "fpgm", "bn_scale", "taylor", "random")
AGGREGATES = ("flow", "mean", "max", "first")


@dataclass(frozen=True)
class Opened:
    """A verified checkpoint, where it stands, and the recipe that says which images it is for."""

    path: Path
    checkpoint: Checkpoint
    config: RunConfig


def opened(arguments: argparse.Namespace) -> Opened:
    """Return the checkpoint and the recipe of a command line, and make the process ready for Paddle.

    Raises:
        PpresnetError: the checkpoint or the recipe cannot be read.
    """
    path = resolve(arguments.checkpoint)
    checkpoint = read(path)
    if arguments.config is not None:
        config = load(arguments.config, arguments.overrides)
    else:
        config = from_dict(checkpoint.config, str(path), arguments.overrides)
    hardware.start(config.hardware.device, config.hardware.threads, cli.say)
    return Opened(path, checkpoint, config)


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with `--checkpoint`, `-c`, `-o`, `--json` and `--debug`."""
    made = cli.parser(description, recipe=False)
    made.add_argument("--checkpoint", type=Path, required=True, metavar="P", help="a step folder or a run folder")
    return made


def add_importance(made: argparse.ArgumentParser) -> None:
    """Add the flags that say how units are scored."""
    made.add_argument("--importance", choices=METHODS, default="taylor", help="score of a unit (default taylor)")
    made.add_argument(
        "--aggregate", choices=AGGREGATES, default="flow", help="over the tensors of a group (default flow)"
    )
    made.add_argument("--seed", type=int, default=0, metavar="N", help="of random scores (default 0)")
    made.add_argument("--images", type=int, default=512, metavar="N", help="training images for taylor (default 512)")


def scores_of(arguments: argparse.Namespace, config: RunConfig, checkpoint: Checkpoint, graph: Any) -> dict[str, Any]:
    """Return the score of every unit, by group, as the flags say.

    Raises:
        PpresnetError: the training images cannot be read, or the method not be used.
    """
    from deploy.slim.importance import scores
    from deploy.slim.subset import load_subset
    from deploy.slim.taylor import measured_slopes, taylor_scores
    from ppresnet.checkpoint.state import final_weights

    if arguments.importance != "taylor":
        return scores(graph, final_weights(checkpoint), arguments.importance, arguments.aggregate, arguments.seed)
    subset = load_subset(config, "train", arguments.images)
    return taylor_scores(measured_slopes(checkpoint, graph, subset.batches()), arguments.aggregate)
