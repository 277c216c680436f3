"""The order of the steps, and what goes from one to the next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.slim.pipeline import chain
from deploy.slim.pipeline.driver import Driver
from deploy.slim.recipe import SlimRecipe
from ppresnet.checkpoint import resolve
from ppresnet.config import dump
from ppresnet.errors import CheckFailedError, PpresnetError, ProcessError
from ppresnet.files import atomic_write

Result = dict[str, Any]


@dataclass(frozen=True)
class Round:
    """The results of one cut."""

    sensitivity: Result
    plan: Result
    cut: Result
    finetune: Result


@dataclass(frozen=True)
class Story:
    """The results of all steps.

    Attributes:
        recipe: what was asked for.
        checkpoint: the whole network.
        rounds: the cuts; fewer than the recipe's steps where one that was coarse met the target.
        int8: None where it was not asked for, or failed as a whole.
        bundle: the export.
        compare: all networks side by side.
        seconds: that each step took.
        failure: what of the bundles there is not although it was asked for.
    """

    recipe: SlimRecipe
    checkpoint: Path
    rounds: tuple[Round, ...]
    int8: Result | None
    bundle: Result
    compare: Result
    seconds: dict[str, float]
    failure: PpresnetError | None = None


class Life:
    """A network on its way to a smaller one.

    Args:
        recipe: what is asked for.
        driver: does the steps.
    """

    def __init__(self, recipe: SlimRecipe, driver: Driver) -> None:
        self.recipe, self._driver = recipe, driver
        self._folder = driver.journal.folder

    def run(self) -> Story:
        """Do all steps and return what they found.

        Raises:
            PpresnetError: a step failed.
        """
        config, training = self.recipe.config, self._recipe_file("train", dump(self.recipe.training))
        whole = self._whole(training)
        rounds: list[Round] = []
        kind, share = config.target.chosen
        while len(rounds) < config.steps and (left := _left(rounds, kind)) > share:
            current = whole if not rounds else Path(rounds[-1].finetune["checkpoint"])
            number = len(rounds) + 1
            # The cost falls by the same factor in each round.
            allowed = min(float(share ** (number / config.steps)) / left, 0.999)
            rounds.append(self._round(number, current, whole, allowed, training))
        final = Path(rounds[-1].finetune["checkpoint"])
        bundle = self._driver.do(chain.export(final, training))
        int8, lacking = self._int8(final, training)
        smaller = [Path(step["checkpoint"]) for each in rounds for step in (each.cut, each.finetune)]
        quantised = Path(int8["output"]) if int8 is not None else None
        compared = self._driver.do(chain.compare(config, whole, training, smaller, quantised))
        failure = _joined(_lacking(bundle), lacking)
        return Story(self.recipe, whole, tuple(rounds), int8, bundle, compared, self._driver.seconds, failure)

    def _whole(self, training: Path) -> Path:
        own = self.recipe.config.checkpoint
        if own is not None:
            return resolve(own)
        return resolve(self._driver.do(chain.train(self.recipe.training, training))["checkpoint"])

    def _int8(self, final: Path, training: Path) -> tuple[Result | None, PpresnetError | None]:
        """Return the result in int8, and what kept it, or its ONNX file, from its accuracy floor."""
        if self.recipe.config.quantize is None:
            return None, None
        try:
            found = self._driver.do(chain.quantize(self.recipe.config.quantize, final, training))
        except ProcessError as error:
            if error.exit_code != CheckFailedError.exit_code:
                raise
            return None, error
        return found, _lacking(found)

    def _round(self, number: int, current: Path, whole: Path, share: float, training: Path) -> Round:
        config, tuning = self.recipe.config, self.recipe.tuning
        suffix = "" if config.steps == 1 else f"-{number}"
        measured = self._driver.do(chain.sensitivity(config, f"sensitivity{suffix}", current, training))
        sensitivities = Path(measured["file"])
        planned = self._driver.do(chain.plan(config, f"plan{suffix}", current, training, sensitivities, share))
        cut = self._driver.do(chain.cut(config, f"cut{suffix}", current, training, Path(planned["plan"])))
        recipe = self._recipe_file("finetune", dump(tuning))
        own = self.recipe.own_teacher
        tuned = chain.finetune(tuning, f"finetune{suffix}", Path(cut["checkpoint"]), recipe, whole, own)
        return Round(measured, planned, cut, self._driver.do(tuned))

    def _recipe_file(self, name: str, text: str) -> Path:
        path = self._folder / "recipes" / f"{name}.yaml"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            atomic_write(path, text)
        return path


def _lacking(found: Result) -> PpresnetError | None:
    """Return what did not hold of a step that left its result all the same."""
    failures = found.get("failures")
    return CheckFailedError("\n".join(failures)) if failures else None


def _joined(*errors: PpresnetError | None) -> PpresnetError | None:
    """Return one failed check that says what all of them say, if there is any."""
    told = [str(error) for error in errors if error is not None]
    return CheckFailedError("\n".join(told)) if told else None


def _left(rounds: Sequence[Round], kind: str) -> float:
    """Return the share of its cost that the whole network has after some cuts."""
    return math.prod(_left_by(each.plan, kind) for each in rounds)


def _left_by(plan: Result, kind: str) -> float:
    if kind == "latency":
        return float(plan["latency"]["ratio"])
    return float(plan["after"][kind]) / float(plan["before"][kind])
