"""What the commands of this folder share: a checkpoint, its recipe, and flags. Nothing here imports Paddle."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ppresnet import cli, hardware
from ppresnet.checkpoint import Checkpoint, opening
from ppresnet.config import RunConfig
from ppresnet.errors import RequestError

METHODS = ("path", "l1", "l2", "fpgm", "bn_scale", "taylor", "obs", "random")
MEASURED = ("taylor", "obs")  # those that need images; their scores are changes of one loss
AGGREGATES = ("flow", "mean", "max", "first")
ENGINES = ("ppresnet", "paddleslim")
PADDLESLIM_RULES = ("l1", "l2", "fpgm")
JOINT = ("path", "obs")  # those that score a whole group at once; no aggregate applies
UNSCORED = ("density", "uniform")  # allocations that no score decides, so that every engine can choose by them
# What commands and slim recipes do unless told otherwise.
USUAL_IMPORTANCE: Final = "path"
USUAL_AGGREGATE: Final = "flow"
USUAL_ALLOCATION: Final = "density"


@dataclass(frozen=True)
class Opened(opening.Opened):
    """A verified checkpoint with its recipe, and what it runs on."""

    machine: hardware.Hardware


def opened(arguments: argparse.Namespace) -> Opened:
    """Return the checkpoint and the recipe of a command line, and make the process ready for Paddle.

    Raises:
        PpresnetError: the checkpoint or the recipe cannot be read.
    """
    found = opening.opened(arguments)
    machine = hardware.start(found.config.hardware.device, found.config.hardware.threads, cli.say)
    return Opened(found.path, found.checkpoint, found.config, machine)


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with `--checkpoint`, `-c`, `-o`, `--json` and `--debug`."""
    made = cli.parser(description, recipe=False)
    made.add_argument("--checkpoint", type=Path, required=True, metavar="P", help="a step folder or a run folder")
    return made


def add_importance(made: argparse.ArgumentParser) -> None:
    """Add the flags that say how units are scored."""
    made.add_argument("--importance", choices=METHODS, default=USUAL_IMPORTANCE, help="score of a unit (%(default)s)")
    made.add_argument(
        "--aggregate", choices=AGGREGATES, default=USUAL_AGGREGATE, help="over the tensors of a group (%(default)s)"
    )
    made.add_argument("--seed", type=int, default=0, metavar="N", help="of random scores (default 0)")
    made.add_argument(
        "--images", type=cli.positive, default=512, metavar="N", help="training images for taylor and obs (%(default)s)"
    )


def expect_engine(arguments: argparse.Namespace) -> None:
    """Check that the engine can do what the other flags of a plan ask for.

    Raises:
        RequestError: PaddleSlim is asked for what it cannot do.
    """
    if arguments.engine != "paddleslim":
        return
    for wrong, flag, expected in (
        (arguments.importance not in PADDLESLIM_RULES, f"--importance {arguments.importance}", "l1, l2 or fpgm"),
        (arguments.allocation not in UNSCORED, f"--allocation {arguments.allocation}", " or ".join(UNSCORED)),
        (
            arguments.aggregate not in ("flow", "first"),
            f"--aggregate {arguments.aggregate}",
            "none: one tensor decides",
        ),
        (arguments.blocks, "--blocks", "channels"),
    ):
        if wrong:
            raise RequestError(
                f"--engine paddleslim: expected {expected}, found {flag}; change it, or --engine ppresnet"
            )


def expect_channels(arguments: argparse.Namespace) -> None:
    """Check that a plan of blocks is not asked for what only a plan of channels can do.

    Raises:
        RequestError: a flag would be ignored.
    """
    ignored = {
        "--protect": bool(arguments.protect),
        "--scope": arguments.scope != "all",
        "--minimum": arguments.minimum != 1,
        "--round-to": arguments.round_to != 1,
        "--trunk-share": arguments.trunk_share != 1.0,
        "--steps": arguments.steps != 1,
        "--allocation": arguments.allocation != USUAL_ALLOCATION,
    }
    for flag, given in ignored.items():
        if arguments.blocks and given:
            raise RequestError(f"--blocks drops whole blocks, and {flag} is for channels; leave one of them out")


def expect_allocation(arguments: argparse.Namespace) -> None:
    """Check that a plan is given nothing that its allocation does not read.

    Raises:
        RequestError: a flag would be ignored.
    """
    chosen = arguments.allocation
    for flag, given, able in (
        ("--trunk-share", arguments.trunk_share != 1.0, UNSCORED),
        ("--sensitivity", arguments.sensitivity is not None, ("sensitivity",)),
    ):
        if given and chosen not in able:
            expected = " or ".join(able)
            raise RequestError(
                f"{flag}: expected --allocation {expected}, found {chosen}; change it, or leave {flag} out"
            )


def count_or_0(text: str) -> int:
    """Return a number from 0 on, for argparse."""
    return 0 if text == "0" else cli.positive(text)


def share(text: str) -> float:
    """Return a number between 0 and 1, for argparse."""
    value = _number(text)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"expected a share between 0 and 1, such as 0.5, found '{text}'")
    return value


def share_or_bound(text: str) -> float:
    """Return a number from 0 to 1, for argparse."""
    value = _number(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"expected a share from 0 to 1, such as 0.5, found '{text}'")
    return value


def _number(text: str) -> float:
    """Return a number, NaN for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def scores_of(arguments: argparse.Namespace, config: RunConfig, checkpoint: Checkpoint, graph: Any) -> dict[str, Any]:
    """Return the score of every unit, by group, as the flags say.

    Raises:
        PpresnetError: the training images cannot be read, or the method not be used.
    """
    from deploy.slim.importance import scores
    from deploy.slim.path_norm import path_scores
    from deploy.slim.subset import load_subset
    from deploy.slim.surgeon import surgeon_scores
    from deploy.slim.takers import measured_takers
    from deploy.slim.taylor import measured_slopes, taylor_scores
    from ppresnet.checkpoint.state import final_weights

    if arguments.importance in JOINT and arguments.aggregate != USUAL_AGGREGATE:
        raise RequestError(
            f"--importance {arguments.importance} scores a whole group at once; expected --aggregate "
            f"{USUAL_AGGREGATE}, found {arguments.aggregate}"
        )
    if arguments.importance == "path":
        return {group.name: path_scores(group, final_weights(checkpoint)) for group in graph}
    if arguments.importance not in MEASURED:
        return scores(graph, final_weights(checkpoint), arguments.importance, arguments.aggregate, arguments.seed)
    subset = load_subset(config, "train", arguments.images)
    if arguments.importance == "obs":
        return surgeon_scores(graph, measured_takers(checkpoint, graph, subset.batches()))
    return taylor_scores(measured_slopes(checkpoint, graph, subset.batches()), arguments.aggregate)
