"""The steps that a slim recipe asks for, as commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deploy.slim.command import MEASURED
from deploy.slim.int8.settings import Int8Settings
from deploy.slim.pipeline.step import Step
from deploy.slim.recipe_keys import SlimConfig
from ppresnet.checkpoint import resolve
from ppresnet.config import RunConfig


def train(training: RunConfig, recipe: Path) -> Step:
    """Return the training of the whole network.

    Args:
        training: its recipe.
        recipe: the file of `training`.
    """
    given = (("-o init_from=", training.init_from), ("-o distill.checkpoint=", training.distill.checkpoint))
    # So that it is trained anew when what it starts from or learns from changes.
    return _training("train", recipe, [(flag, resolve(path)) for flag, path in given if path is not None])


def sensitivity(config: SlimConfig, name: str, checkpoint: Path, recipe: Path) -> Step:
    """Return the measurement of what each group costs."""
    shares = [str(share) for share in config.sensitivity.shares]
    settings = (*_scoring(config), "--subset", str(config.sensitivity.images), "--shares", *shares)
    inputs = (("--checkpoint", checkpoint), ("-c", recipe))
    return Step(name, "deploy.slim.sensitivity", settings, inputs, products=("file",), resumes=True)


def plan(config: SlimConfig, name: str, checkpoint: Path, recipe: Path, measured: Path, share: float) -> Step:
    """Return the planning of one cut.

    Args:
        config: the slim recipe.
        name: of the step.
        checkpoint: what is cut.
        recipe: of the network.
        measured: sensitivities of this checkpoint.
        share: of its cost that may be left.
    """
    kind, _ = config.target.chosen
    groups = config.allocation
    settings = [
        f"--{kind}",
        f"{share:.6g}",
        *_scoring(config, groups.blocks),
        "--engine",
        config.engine,
        "--allocation",
        groups.name,
    ]
    settings += ["--round-to", str(config.round_to), "--minimum", str(groups.minimum), "--scope", groups.scope]
    settings += ["--trunk-share", str(groups.trunk_share), *(("--protect", *groups.protect) if groups.protect else ())]
    settings += ["--blocks"] if groups.blocks else []
    settings += _timing(config) if kind == "latency" else []
    inputs = [("--checkpoint", checkpoint), ("-c", recipe)]
    inputs += [("--sensitivity", measured)] if groups.name == "sensitivity" else []
    return Step(name, "deploy.slim.plan", tuple(settings), tuple(inputs), ("--output", "plan.json"), ("plan",))


def cut(config: SlimConfig, name: str, checkpoint: Path, recipe: Path, planned: Path) -> Step:
    """Return one cut."""
    inputs = (("--checkpoint", checkpoint), ("-c", recipe), ("--plan", planned))
    settings = ["--recalibrate", str(config.recalibrate)]
    # Without a whole block, nothing says what the layers behind it should give.
    settings += [] if config.allocation.blocks else ["--reconstruct", str(config.reconstruct)]
    return Step(name, "deploy.slim.cut", tuple(settings), inputs, products=("checkpoint",))


def finetune(tuning: RunConfig, name: str, checkpoint: Path, recipe: Path, teacher: Path, own_teacher: bool) -> Step:
    """Return the training after a cut.

    Args:
        tuning: its recipe.
        name: of the step.
        checkpoint: what the cut left.
        recipe: the file of `tuning`.
        teacher: the whole network.
        own_teacher: the recipe names a teacher itself.
    """
    inputs = [("-o init_from=", checkpoint)]
    own, taught = tuning.distill.checkpoint, tuning.distill.weight > 0 or tuning.distill.maps > 0
    if taught and not own_teacher:
        inputs.append(("-o distill.checkpoint=", teacher))
    elif own is not None:
        inputs.append(("-o distill.checkpoint=", resolve(own)))  # so that it is learned from anew when it changes
    return _training(name, recipe, inputs)


def quantize(settings: Int8Settings, checkpoint: Path, recipe: Path) -> Step:
    """Return the step to int8."""
    words: list[str] = []
    for key, value in settings.model_dump().items():
        flag = f"--{key.replace('_', '-')}"
        if isinstance(value, bool):
            words += [] if value else [f"--no-{key}"]
        elif value is not None:
            words += [flag, str(value)]
    inputs = (("--checkpoint", checkpoint), ("-c", recipe))
    return Step("int8", "deploy.slim.quantize", tuple(words), inputs, products=("output",), partial=True)


def export(checkpoint: Path, recipe: Path) -> Step:
    """Return the export of the result."""
    inputs = (("--checkpoint", checkpoint), ("-c", recipe))
    return Step("bundle", "tools/export.py", inputs=inputs, products=("output",), partial=True)


def compare(
    config: SlimConfig, checkpoint: Path, recipe: Path, smaller: Sequence[Path], int8: Path | None = None
) -> Step:
    """Return the measurement of all networks side by side."""
    inputs = [("--checkpoint", checkpoint), ("-c", recipe), *(("--smaller", path) for path in smaller)]
    inputs += [("--int8", int8)] if int8 is not None else []
    return Step("compare", "deploy.slim.compare", tuple(_timing(config)), tuple(inputs), output=None)


def _training(name: str, recipe: Path, more: Sequence[tuple[str, Path]]) -> Step:
    inputs = (("-c", recipe), *more)
    products = ("checkpoint",)
    return Step(name, "tools/train.py", ("--resume",), inputs, products=products, resumes=True, data_may_move=True)


def _scoring(config: SlimConfig, blocks: bool = False) -> tuple[str, ...]:
    how = config.importance
    scored = ("--importance", how.score, "--aggregate", how.aggregate, "--seed", str(config.seed))
    return (*scored, "--images", str(how.images)) if how.score in MEASURED or blocks else scored


def _timing(config: SlimConfig) -> list[str]:
    how = config.latency
    settings = ["--backend", how.backend, "--precision", how.precision, "--batch", str(how.batch)]
    settings += ["--rounds", str(how.rounds)]
    return settings if how.threads == "auto" else [*settings, "--threads", str(how.threads)]
