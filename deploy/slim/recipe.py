"""The slim recipe: which network becomes smaller, to what cost, how, and how it recovers. No Paddle in here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deploy.slim.recipe_keys import SlimConfig
from ppresnet.config import RunConfig
from ppresnet.config.check import resolve
from ppresnet.config.load import layers_of
from ppresnet.config.tree import Entry, entry_of, find, merge
from ppresnet.errors import ConfigError
from ppresnet.spec import ModelSpec, ResNetSpec, spec_of


@dataclass(frozen=True)
class SlimRecipe:
    """A slim recipe, and the run recipes that follow from it.

    Attributes:
        config: itself.
        training: of the whole network.
        tuning: of the smaller one; what it starts from and learns from is not in it yet.
        own_teacher: `finetune` names a teacher that is not the whole network.
    """

    config: SlimConfig
    training: RunConfig
    tuning: RunConfig
    own_teacher: bool = False


def load_slim(path: Path, overrides: Iterable[str] = ()) -> SlimRecipe:
    """Return the slim recipe at `path`.

    Args:
        path: a YAML file; `_base_` in it works as in every recipe.
        overrides: `a.b=value` each; those of keys that only run recipes have, such as `data.root`, are for the base.

    Raises:
        ConfigError: naming every problem, each with the file and line or the override it comes from.
    """
    whole = list(overrides)
    ours = [each for each in whole if not _is_of_base(each)]
    layers, problems = layers_of(path, ours)
    config = resolve(layers, problems, SlimConfig)
    beside = path.parent / config.base
    base = beside if beside.exists() else Path(config.base)
    below, problems = layers_of(base, [each for each in whole if _is_of_base(each)])
    below.append(entry_of({"seed": config.seed}, ""))
    tree = Entry({}, "")
    for layer in layers:
        tree = merge(tree, layer)
    tuned, given = find(tree, ("finetune",))
    above = [entry_of({"name": config.name}, ""), tuned] if given else []
    _expect_ours(tuned, given)
    own_teacher = given and find(tuned, ("distill", "checkpoint"))[1]
    # A base that is itself a fine-tuning draws a new head; what the cut leaves has learned.
    above.append(entry_of({"finetune": {"new_head": False}}, ""))
    recipe = SlimRecipe(config, resolve(below, problems), resolve([*below, *above], problems), own_teacher)
    if recipe.training.data.multi_label:
        raise ConfigError(
            f"{base}: expected one label an image, found data.multi_label: true; networks for several are not cut"
        )
    _expect_maps_stay(path, recipe)
    return recipe


def _expect_maps_stay(path: Path, recipe: SlimRecipe) -> None:
    """Refuse hints of maps that the whole network gives with more channels."""
    groups, maps = recipe.config.allocation, recipe.tuning.distill.maps
    if not maps or recipe.own_teacher or groups.blocks:
        return
    spec = spec_of(**recipe.training.model.model_dump())
    if not gives_sums(spec):
        why = f"nothing is added to what the stages of {spec.name} give, and so they lose channels wherever it is cut"
        raise ConfigError(f"{path}: 'finetune.distill.maps': expected 0 because {why}, found {maps:g}; set it to 0")
    if groups.scope != "internal" and spec.family != "vit":  # whose tokens keep their width
        raise ConfigError(
            f"{path}: 'finetune.distill.maps': expected 0 because allocation.scope is {groups.scope}, and so the "
            f"stages of the whole network give more channels, found {maps:g}; or set allocation.scope to internal"
        )


def gives_sums(spec: ModelSpec) -> bool:
    """Return whether the stages of a network give sums, which a cut within branches leaves as wide as they are."""
    if spec.family in ("densenet", "lcnet"):
        return False
    return not (isinstance(spec, ResNetSpec) and any(stage[-1].skip == "none" for stage in spec.stages))


def _is_of_base(override: str) -> bool:
    key = override.partition("=")[0].strip().partition(".")[0]
    return key in RunConfig.model_fields and key not in SlimConfig.model_fields


def _expect_ours(tuned: Entry, given: bool) -> None:
    """Refuse what the steps before a fine-tuning decide."""
    for key, why in (("init_from", "it starts from what the cut leaves"), ("model", "the cut decides the network")):
        entry, written = find(tuned, (key,)) if given else (tuned, False)
        if written:
            raise ConfigError(f"{entry.where}: 'finetune.{key}': {why}; take it away")
